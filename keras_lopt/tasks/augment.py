"""Augmentations: a task made from another, with other problems.

What is drawn for each problem is its `Variation`; the rest is a model around
the task's model, so that `fit` trains the same problem.
"""

import dataclasses

import keras
from keras import ops

from keras_lopt.checks import check_numbers
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.initialization import LogUniform


def augmented(
    task,
    batch_size=None,
    gradient_noise=None,
    precision=None,
    **variation,
):
    """A task like `task`, of harder or more varied problems.

    Args:
        task: A `Task`.
        batch_size: Examples a step.
        gradient_noise: Range of the deviation of normal noise that is added
            to every gradient, log-uniform for each problem.
        precision: A Keras dtype policy for the layers, "mixed_bfloat16".
        **variation: What changes in the `Variation`: `label_permutation`,
            `pixel_permutation`, `class_subset`, `reparametrization`,
            `per_tensor`, `init_scale`, `input_scale`.
    """
    model_fn, changes = task.model_fn, []
    if batch_size is not None:
        changes.append(f"batch{batch_size}")
    if precision is not None:
        model_fn = _with_policy(model_fn, precision)
        changes.append(precision)
    if gradient_noise is not None:
        check_numbers("gradient_noise", gradient_noise, "(0, inf)", count=2)
        model_fn = _noisy(model_fn, gradient_noise)
        changes.append("noise{}-{}".format(*gradient_noise))
    changes += [f"{field}={value}" for field, value in variation.items()]
    return Task(
        "+".join([task.name, *changes]),
        model_fn,
        task.loss,
        task.dataset,
        task.batch_size if batch_size is None else batch_size,
        dataclasses.replace(task.variation, **variation),
        normalizer=task.normalizer,
    )


def _with_policy(model_fn, precision):
    def make():
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)
        try:
            return model_fn()
        finally:
            keras.config.set_dtype_policy(before)

    return make


def _noisy(model_fn, scale):
    return lambda: GradientNoise(model_fn(), scale)


class NoiseLoss(keras.layers.Layer):
    """Zero, with a normal gradient.

    Args:
        low, high: Range of the gradient's deviation.
    """

    def __init__(self, low, high, **kwargs):
        super().__init__(**kwargs)
        self.scale_initializer = LogUniform(low, high)
        self.generator = keras.random.SeedGenerator(0)

    def build(self, input_shape):
        self.scale = self.add_weight(
            name="scale",
            shape=(),
            initializer=self.scale_initializer,
            trainable=False,
        )

    def call(self, variables):
        total = 0.0
        for variable in variables:
            noise = keras.random.normal(
                variable.shape, dtype=variable.dtype, seed=self.generator
            )
            total += ops.sum(noise * ops.convert_to_tensor(variable))
        total *= self.scale
        return total - ops.stop_gradient(total)


@keras.saving.register_keras_serializable(package="keras_lopt")
class GradientNoise(keras.Model):
    """Computes what another model does; its gradients in training are noisy.

    Adds a loss of zero whose gradient is the noise.

    Args:
        inner: A built Keras model.
        scale: Range of the noise's deviation, drawn when the model is.
    """

    def __init__(self, inner, scale, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.scale_range = tuple(scale)
        # A layer of its own, after the model: the model's weights keep their
        # places, and so a problem its initial values.
        self.noise = NoiseLoss(*scale)
        self.noise.build(None)
        self.build(inner.input_shape)

    def build(self, input_shape):
        self.built = True  # Both weights and sublayers are there already.

    def call(self, inputs, training=None):
        outputs = self.inner(inputs, training=training)
        if training:
            self.add_loss(self.noise.call(self.inner.trainable_variables))
        return outputs

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        own = {"inner": inner, "scale": self.scale_range}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**{**config, "inner": inner})

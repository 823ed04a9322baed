"""Augmentations: a harder or more varied task, made from another.

What is drawn per problem is part of the task's `Variation`. Everything else is
a model around the task's model, so that `fit` trains the same problem.
"""

import dataclasses

import keras
from keras import ops

from keras_lopt.checks import check_integer, check_numbers
from keras_lopt.tasks.augmentation.image_changes import ChangedImages
from keras_lopt.tasks.augmentation.wrapper import ModelWrapper
from keras_lopt.tasks.initialization import LogUniform
from keras_lopt.tasks.task import Task


def augmented(
    task: Task,
    batch_size: int | None = None,
    gradient_noise: tuple[float, float] | None = None,
    delay: int | None = None,
    images: dict | None = None,
    precision: str | None = None,
    **variation: object,
) -> Task:
    """A task like `task` whose problems are harder or more varied.

    Args:
        task: A `Task`.
        batch_size: Examples per step.
        gradient_noise: Range (low, high) of the standard deviation of normal
            noise that is added to every gradient; log-uniform per problem.
        delay: Steps by which gradients are late: in training, the loss and its
            gradient are those of the parameters this many steps ago.
        images: Dict of arguments of `image_changes.ImageChanges`.
        precision: A Keras dtype policy for the layers, "mixed_bfloat16".
        **variation: Fields of the task's `Variation` to replace.
    """
    model_fn, changes = task.model_fn, []
    if batch_size is not None:
        changes.append(f"batch{batch_size}")
    settings = precision, gradient_noise, delay, images
    for function, setting in zip(_CHANGES, settings, strict=True):
        if setting is not None:
            model_fn, change = function(model_fn, setting)
            changes.append(change)
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


# Each takes a `model_fn` and a setting; it returns another `model_fn` and a
# short name of the change.


def _noisy(model_fn, scale):
    check_numbers("gradient_noise", scale, "(0, inf)", count=2)
    name = "noise{}-{}".format(*scale)
    return lambda: GradientNoise(model_fn(), scale), name


def _delayed(model_fn, delay):
    check_integer("delay", delay, 1)
    return lambda: DelayedGradients(model_fn(), delay), f"delay{delay}"


def _of_images(model_fn, images):
    name = f"images{sorted(images.items())}"
    return lambda: ChangedImages(model_fn(), images), name


def _with_policy(model_fn, precision):
    def make():
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)
        try:
            return model_fn()
        finally:
            keras.config.set_dtype_policy(before)

    return make, precision


#: In the order of `settings` in `augmented`: from the innermost outwards.
_CHANGES = _with_policy, _noisy, _delayed, _of_images


class NoiseLoss(keras.layers.Layer):
    """A loss of zero whose gradient is normal noise.

    Args:
        low, high: Range of the standard deviation of the noise.
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
class GradientNoise(ModelWrapper):
    """Computes what another model does, with noisy gradients in training.

    Args:
        inner: A built Keras model.
        scale: Range (low, high) of the standard deviation of the noise. The
            deviation is drawn with the initial weights.
    """

    def __init__(self, inner, scale, **kwargs):
        super().__init__(inner, **kwargs)
        self.scale_range = tuple(scale)
        self.noise = NoiseLoss(*scale)
        self.noise.build(None)
        self.build(self.input_shape)

    def more_losses(self, params, training):
        return [self.noise.call(params)] if training else []

    def get_config(self):
        return {**super().get_config(), "scale": self.scale_range}


class Delay(keras.layers.Layer):
    """Remembers the values that parameters had at the last steps.

    Args:
        steps: Number of steps to remember.
        variables: The Keras variables of the parameters.
    """

    def __init__(self, steps, variables, **kwargs):
        super().__init__(**kwargs)
        self.steps = steps
        self.count = self.add_weight(
            name="count",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        self.past = [
            self.add_weight(
                name=f"past_{i}",
                shape=(steps, *variable.shape),
                dtype=variable.dtype,
                initializer="zeros",
                trainable=False,
            )
            for i, variable in enumerate(variables)
        ]
        self.built = True

    def call(self, variables):
        place = ops.mod(self.count, self.steps)
        late = [
            self._exchanged(ops.convert_to_tensor(variable), past, place)
            for variable, past in zip(variables, self.past)
        ]
        self.count.assign_add(1)
        return late

    def _exchanged(self, now, past, place):
        """The value `steps` ago with the gradient of `now`; remembers `now`."""
        fixed = ops.stop_gradient(now)
        # Before the first step: the value at the first step.
        held = ops.where(ops.equal(self.count, 0), fixed[None], past)
        is_place = ops.equal(ops.arange(self.steps), place)
        is_place = ops.reshape(is_place, [-1] + [1] * len(now.shape))
        past.assign(ops.where(is_place, fixed[None], held))
        return ops.take(held, place, axis=0) + (now - fixed)


@keras.saving.register_keras_serializable(package="keras_lopt")
class DelayedGradients(ModelWrapper):
    """Computes what another model does, with late gradients in training.

    Args:
        inner: A built Keras model.
        delay: Number of steps by which they are late.
    """

    def __init__(self, inner, delay, **kwargs):
        super().__init__(inner, **kwargs)
        self.delay = delay
        self.memory = Delay(delay, inner.trainable_variables)
        self.build(self.input_shape)

    def params(self, training):
        if training:
            return self.memory.call(self.trainables)
        return super().params(training)

    def get_config(self):
        return {**super().get_config(), "delay": self.delay}

"""A problem of a task as a plain Keras training job.

Here the meta-trainer's inner run and `model.fit` meet:

    model = problem_model(task)
    model.compile(optimizer, loss=task.loss_fn)
    load_problem(task, model, seed)
    x, y = problem_batches(task, seed, num_steps)
    model.fit(x, y, batch_size=task.batch_size, shuffle=False)

takes the same steps, from the same values, on the same batches.
"""

import functools

import keras
import tensorflow as tf
from keras import ops

from keras_lopt.checks import check_integer


@keras.saving.register_keras_serializable(package="keras_lopt")
class Reparametrized(keras.Model):
    """Computes with `factor * weights` of another model.

    Args:
        inner: A built Keras model. Its trainable weights are this model's.
    """

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.factor = self.add_weight(
            name="factor", shape=(), initializer="ones", trainable=False
        )
        self.build(inner.input_shape)

    def build(self, input_shape):
        self.built = True  # Both weights and sublayers are there already.

    def call(self, inputs, training=None):
        params = [
            value * ops.cast(self.factor, value.dtype)
            for value in self.inner.trainable_variables
        ]
        variables = self.inner.non_trainable_variables
        outputs, values = self.inner.stateless_call(
            params,
            [ops.convert_to_tensor(v) for v in variables],
            inputs,
            training=training,
        )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return outputs

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**{**config, "inner": inner})


def problem_model(task):
    """A Keras model that `load_problem` can turn into any problem of `task`.

    Args:
        task: A `tasks.Task`.

    Returns:
        A fresh, uncompiled model; its weights' values mean nothing yet.
    """
    model = task.model_fn()
    if task.variation.reparametrization == (1.0, 1.0):
        return model
    return Reparametrized(model)


def load_problem(task, model, seed):
    """Gives `model` the initial values of a problem.

    Args:
        task: A `tasks.Task`.
        model: From `problem_model(task)`.
        seed: [2] int32, the problem's.

    Raises:
        ValueError: A bad `seed`, or a model of another structure.
    """
    params, non_trainable, factor = _compiled_begin(task)(_checked(seed))
    if isinstance(model, Reparametrized):
        model.factor.assign(factor)
        model = model.inner
    variables = model.trainable_variables + model.non_trainable_variables
    values = params + non_trainable
    shapes = [tuple(v.shape) for v in variables]
    if shapes != [tuple(v.shape) for v in values]:
        raise ValueError(
            "`model` must be from `problem_model(task)`, with weights of the "
            f"shapes {[tuple(v.shape) for v in values]}. "
            f"Received: weights of the shapes {shapes}"
        )
    for variable, value in zip(variables, values):
        variable.assign(value)


def problem_batches(task, seed, num_steps):
    """What a problem trains on, in the order of its steps.

    Args:
        task: A `tasks.Task`.
        seed: [2] int32, the problem's.
        num_steps: Number of steps, at least 1.

    Returns:
        (x, y) of shapes [num_steps * batch_size, ...]: consecutive
        `task.batch_size` examples are a step's batch.
    """
    check_integer("num_steps", num_steps, 1)
    batches = task.draw_batches(
        _checked(seed)[None], tf.constant([0]), num_steps, "train"
    )
    return tuple(tf.reshape(b, [-1, *b.shape[3:]]) for b in batches)


def problem_split(task, seed, split):
    """All examples of a split, once each, as the problem sees them.

    Args:
        task: A `tasks.Task`.
        seed: [2] int32, the problem's.
        split: Name of a split of the task's dataset.

    Returns:
        (x, y) of shapes [size of the split, ...].
    """
    inputs, targets = task.dataset.arrays(split)
    scale, labels = _compiled_view(task)(_checked(seed))
    return inputs * scale, tf.gather(labels, targets)


# Compiled like the inner run, because XLA's random numbers are not those of
# eager TensorFlow; in two functions, which compile in a third of the time.


@functools.lru_cache(maxsize=16)
def _compiled_begin(task):
    """Function from a seed to initial values and reparametrization."""

    @functools.partial(tf.function, jit_compile=True)
    def begin(seed):
        params, non_trainable = task.begin(seed)
        factor = task.variation.scale("reparametrization", seed)
        return params, non_trainable, factor

    return begin


@functools.lru_cache(maxsize=16)
def _compiled_view(task):
    """Function from a seed to input scale and labels [num_classes]."""

    @functools.partial(tf.function, jit_compile=True)
    def view(seed):
        classes = task.dataset.num_classes
        labels = task.variation.permute(tf.range(classes), classes, seed)
        return task.variation.scale("input_scale", seed), labels

    return view


def _checked(seed):
    seed = tf.convert_to_tensor(seed)
    if seed.shape != (2,) or seed.dtype != tf.int32:
        raise ValueError(
            "`seed` must be two int32 numbers. Received: seed of shape "
            f"{tuple(seed.shape)} and dtype {seed.dtype.name}"
        )
    return seed

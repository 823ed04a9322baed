"""A problem of a task as a plain Keras training job.

Here the meta-trainer's inner run and `model.fit` meet. This code

    model = problem_model(task)
    model.compile(optimizer, loss=task.loss)
    load_problem(task, model, seed)
    x, y = problem_batches(task, seed, num_steps)
    model.fit(x, y, batch_size=task.batch_size, shuffle=False)

takes the same steps as the inner run, from the same values, on the same
batches.
"""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_lopt.checks import check_integer
from keras_lopt.tasks.augmentation.wrapper import ModelWrapper
from keras_lopt.tasks.data import batches


@keras.saving.register_keras_serializable(package="keras_lopt")
class Reparametrized(ModelWrapper):
    """Computes what another model does with `factor * weights`.

    Args:
        inner: A built Keras model. Its trainable weights are this model's.
        per_tensor: Whether there is one factor per tensor of weights.
        per_parameter: Whether there is one factor per weight.
    """

    def __init__(self, inner, per_tensor=False, per_parameter=False, **kwargs):
        super().__init__(inner, **kwargs)
        self.per_tensor, self.per_parameter = per_tensor, per_parameter
        shapes = [()]
        if per_parameter:
            shapes = [tuple(v.shape) for v in inner.trainable_variables]
        elif per_tensor:
            shapes = [(len(inner.trainable_variables),)]
        self.factors = [
            self.add_weight(
                name=f"factor_{i}" if i else "factor",
                shape=shape,
                initializer="ones",
                trainable=False,
            )
            for i, shape in enumerate(shapes)
        ]
        self.build(self.input_shape)

    def load(self, factors):
        """Sets the factors, from `Variation.factors`."""
        if self.per_parameter:
            for variable, factor in zip(self.factors, factors, strict=True):
                variable.assign(ops.broadcast_to(factor, variable.shape))
        else:
            self.factors[0].assign(
                ops.stack(factors) if self.per_tensor else factors[0]
            )

    def params(self, training):
        factors = self.factors
        if not self.per_parameter:
            factors = ops.broadcast_to(factors[0], [len(self.trainables)])
        return [
            value * ops.cast(factors[i], value.dtype)
            for i, value in enumerate(self.trainables)
        ]

    def get_config(self):
        config = super().get_config()
        config.update(
            per_tensor=self.per_tensor, per_parameter=self.per_parameter
        )
        return config


def problem_model(task):
    """A Keras model that `load_problem` can turn into any problem of `task`.

    Args:
        task: A `tasks.Task`.

    Returns:
        A new, uncompiled model. The values of its weights mean nothing yet.
    """
    model = task.model_fn()
    if not task.variation.reparametrizes:
        return model
    kinds = task.variation.reparametrization_kinds or ()
    per_tensor = task.variation.per_tensor or "tensor" in kinds
    per_parameter = task.variation.per_parameter
    return Reparametrized(
        model, per_tensor and not per_parameter, per_parameter
    )


def load_problem(task, model, seed):
    """Gives `model` the initial values of a problem.

    Args:
        task: A `tasks.Task`.
        model: From `problem_model(task)`.
        seed: [2] int32, the problem's seed.

    Raises:
        ValueError: A bad `seed`, or a model with another structure.
    """
    params, non_trainable, factors = _compiled_begin(task)(_checked(seed))
    if isinstance(model, Reparametrized):
        model.load(factors)
        model = model.inner
    variables = model.trainable_variables + model.non_trainable_variables
    values = params + non_trainable
    shapes = [tuple(v.shape) for v in variables]
    if shapes != [tuple(v.shape) for v in values]:
        raise ValueError(
            "`model` must be from `problem_model(task)`, with weights of "
            f"shapes {[tuple(v.shape) for v in values]}. "
            f"Received: weights of shapes {shapes}"
        )
    for variable, value in zip(variables, values):
        variable.assign(value)


def problem_batches(task, seed, num_steps, split="train"):
    """The examples that a problem trains on, in the order of its steps.

    Args:
        task: A `tasks.Task`.
        seed: [2] int32, the problem's seed.
        num_steps: Number of steps, at least 1.
        split: Name of the split to draw batches from.

    Returns:
        (x, y) of shapes [num_steps * batch_size, ...]: the first
        `task.batch_size` examples are the first batch, and so on.
    """
    check_integer("num_steps", num_steps, 1)
    drawn = task.draw_batches(
        _checked(seed)[None], tf.constant([0]), num_steps, split
    )
    return tf.nest.map_structure(
        lambda b: tf.reshape(b, [-1, *b.shape[3:]]), drawn
    )


def problem_split(task, seed, split):
    """All examples of a split, once each, as the problem sees them.

    Args:
        task: A `tasks.Task`.
        seed: [2] int32, the problem's seed.
        split: Name of a split of the task's dataset.

    Returns:
        (x, y) of shapes [size of the split, ...].
    """
    arrays = task.dataset.arrays(split)
    view = _compiled_view(task)(_checked(seed))
    if "classes" in view:
        kept = np.isin(arrays[1], view["classes"])
        arrays = tf.nest.map_structure(lambda a: a[kept], arrays)
    view, arrays = tf.nest.map_structure(lambda a: a[None], (view, arrays))
    arrays = tf.nest.map_structure(tf.constant, arrays)
    return tf.nest.map_structure(lambda a: a[0], batches.see(view, *arrays))


# Compiled like the inner run, because XLA's random numbers differ from those of
# eager TensorFlow. Two functions compile in a third of the time of one.


@functools.lru_cache(maxsize=16)
def _compiled_begin(task):
    """Function of a seed that returns initial values and factors."""

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def begin(seed):
        params, non_trainable = task.begin(seed)
        shapes = [tuple(p.shape) for p in params]
        return params, non_trainable, task.variation.factors(seed, shapes)

    return begin


@functools.lru_cache(maxsize=16)
def _compiled_view(task):
    """Function of a seed that returns a `Variation.view`."""

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def view(seed):
        return task.variation.view(
            seed, task.dataset.num_classes, task.num_pixels
        )

    return view


def _checked(seed):
    seed = tf.convert_to_tensor(seed)
    if seed.shape != (2,) or seed.dtype != tf.int32:
        raise ValueError(
            "`seed` must be two int32 numbers. Received: seed of shape "
            f"{tuple(seed.shape)} and dtype {seed.dtype.name}"
        )
    return seed

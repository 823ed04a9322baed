"""The layer of synthetic functions: a vector, and its loss."""

import keras
from keras import ops

from keras_lopt.tasks import datasets
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.losses import MeanOutput
from keras_lopt.tasks.normalizers import FromStart


class Synthetic(keras.layers.Layer):
    """Base of layers whose output is a function of their weights alone."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(0)

    def value(self):
        """The function's value, a scalar."""
        raise NotImplementedError

    def normal(self, shape):
        """Standard normal numbers, others at every step."""
        return keras.random.normal(
            shape, dtype=self.compute_dtype, seed=self.generator
        )

    def call(self, inputs):
        return ops.zeros_like(inputs) + self.value()

    def compute_output_shape(self, input_shape):
        return input_shape


def synthetic_task(name, layer_fn, floor=0.0, variation=None):
    """A task without data: a function of weights, to be minimised.

    Args:
        name: Of the task.
        layer_fn: Function that makes a `Synthetic` layer.
        floor: The least value of the function.
        variation: A `Variation` or None.
    """

    def model_fn():
        inputs = keras.Input((1,))
        return keras.Model(inputs, layer_fn()(inputs))

    return Task(
        name,
        model_fn,
        MeanOutput(),
        datasets.nothing(),
        1,
        variation,
        normalizer=FromStart(floor=floor),
    )

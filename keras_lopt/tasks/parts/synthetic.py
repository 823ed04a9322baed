"""Functions of a vector that are hard to minimize, and tasks of such functions.

The test functions are those of Surjanovic and Bingham's library. The others
follow the problems of Wichrowska et al. 2017 (arXiv 1703.04813), with our own
formulas where the paper has none.
"""

import math

import keras
from keras import ops

from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.losses import MeanOutput
from keras_lopt.tasks.normalizers import FromStart
from keras_lopt.tasks.task import Task


def ackley(x):
    """Many shallow holes around one deep hole."""
    radius = ops.sqrt(0.5 * ops.sum(ops.square(x)) + 1e-12)
    waves = ops.mean(ops.cos(2.0 * math.pi * x))
    return -20.0 * ops.exp(-0.2 * radius) - ops.exp(waves) + math.e + 20.0


def beale(x):
    """Flat, with sharp peaks at the corners."""
    a, b = x[0], x[1]
    return (
        ops.square(1.5 - a + a * b)
        + ops.square(2.25 - a + a * b**2)
        + ops.square(2.625 - a + a * b**3)
    )


def branin(x):
    """Three equal minima."""
    a, b = x[0], x[1]
    valley = b - 5.1 / (4.0 * math.pi**2) * a**2 + 5.0 / math.pi * a - 6.0
    height = 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * ops.cos(a)
    return ops.square(valley) + height + 10.0


def log_sum_exp(x):
    """Smooth maximum of six planes around the origin."""
    angles = [2.0 * math.pi * k / 6.0 for k in range(6)]
    planes = [math.cos(a) * x[0] + math.sin(a) * x[1] for a in angles]
    return ops.logsumexp(ops.stack(planes))


def matyas(x):
    """A narrow valley."""
    return 0.26 * ops.sum(ops.square(x)) - 0.48 * x[0] * x[1]


def michalewicz(x):
    """Ridges with steep valleys."""
    number = ops.arange(1, x.shape[0] + 1, dtype=x.dtype)
    steep = ops.sin(number * ops.square(x) / math.pi) ** 20
    return -ops.sum(ops.sin(x) * steep)


def rosenbrock(x):
    """A curved valley."""
    valley = x[1:] - ops.square(x[:-1])
    return ops.sum(100.0 * ops.square(valley) + ops.square(1.0 - x[:-1]))


def styblinski_tang(x):
    """Four wells of different depths."""
    return 0.5 * ops.sum(x**4 - 16.0 * x**2 + 5.0 * x)


def dependency_chain(x):
    """An entry matters only when the entry before it is small."""
    held = 1.0 / (1.0 + 10.0 * ops.square(x[:-1]))
    return ops.square(x[0]) + ops.sum(ops.square(x[1:] - 1.0) * held)


def outward_snake(x):
    """A winding valley that descends outwards."""
    valley = ops.sum(ops.square(x[1:] - ops.sin(x[:1])))
    return valley + ops.softplus(3.0 - 0.5 * x[0])


def min_max_well(x):
    """High if the largest entry is large or the smallest one is small."""
    size = ops.abs(x)
    return ops.max(size) + 1.0 / (ops.min(size) + 1e-3)


#: Name -> function, smallest size, largest size, minimum for a given size.
FUNCTIONS = {
    "ackley": (ackley, 2, 2, lambda size: 0.0),
    "beale": (beale, 2, 2, lambda size: 0.0),
    "branin": (branin, 2, 2, lambda size: 0.3978873),
    "log_sum_exp": (log_sum_exp, 2, 2, lambda size: math.log(6.0)),
    "matyas": (matyas, 2, 2, lambda size: 0.0),
    "michalewicz": (michalewicz, 2, 2, lambda size: -1.8013034),
    "rosenbrock": (rosenbrock, 2, 100, lambda size: 0.0),
    "styblinski_tang": (
        styblinski_tang,
        2,
        100,
        lambda size: -39.166166 * size,
    ),
    "dependency_chain": (dependency_chain, 2, 100, lambda size: 0.0),
    "outward_snake": (outward_snake, 2, 100, lambda size: 0.0),
    # If all entries are a: a + 1 / (a + 1e-3), smallest at a = 1 - 1e-3.
    "min_max_well": (min_max_well, 2, 100, lambda size: 2.0 - 1e-3),
}


class Synthetic(keras.layers.Layer):
    """Base of layers whose output depends on nothing but their weights."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(0)

    def value(self):
        """The value of the function, a scalar."""
        raise NotImplementedError

    def normal(self, shape):
        """Standard normal numbers, new ones at every step."""
        return keras.random.normal(
            shape, dtype=self.compute_dtype, seed=self.generator
        )

    def call(self, inputs):
        return ops.zeros_like(inputs) + self.value()

    def compute_output_shape(self, input_shape):
        return input_shape


def synthetic_task(name, layer_fn, floor=0.0, variation=None):
    """A task without data: to minimize a function of weights.

    Args:
        name: Name of the task.
        layer_fn: Function that makes a `Synthetic` layer.
        floor: Minimum of the function.
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

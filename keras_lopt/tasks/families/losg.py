"""Synthetic functions, plain or made harder.

They follow TaskSet's `losg_tasks`, the problems of "Learned Optimizers that
Scale and Generalize" (Wichrowska et al. 2017, arXiv 1703.04813).
"""

import math

import keras
from keras import ops

from keras_lopt.checks import check_choice, check_integer, check_number
from keras_lopt.tasks.augmentation.augment import augmented
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.parts.synthetic import (
    FUNCTIONS,
    Synthetic,
    synthetic_task,
)
from keras_lopt.tasks.registry import register_family

_TEST_FUNCTIONS = tuple(
    name
    for name in FUNCTIONS
    if name not in ("dependency_chain", "outward_snake", "min_max_well")
)
#: Kinds of tasks, drawn with equal probability.
_KINDS = (
    "bowl",
    "norm",
    "test_function",
    "dependency_chain",
    "outward_snake",
    "min_max_well",
    "sum_of_quadratics",
    "projection_quadratic",
    "sparse",
    "rescale",
    "log_objective",
)


def draw(sampler):
    """Draws a configuration of `losg`."""
    kind = sampler.choice(_KINDS)
    config = {"function": kind}
    if kind in ("test_function", "sparse", "rescale", "log_objective"):
        config["function"] = sampler.choice(_TEST_FUNCTIONS)
    if kind == "sparse":
        config["sparsity"] = sampler.uniform(0.9, 0.99)
    if kind == "rescale":
        config["scale"] = sampler.log_float(1e-3, 1e3)
    config["log"] = kind == "log_objective"
    least, most = _sizes(config["function"])
    config["size"] = sampler.log_int(least, most)
    if kind == "bowl":
        config["condition"] = sampler.log_float(0.01, 100.0)
        angles = (0.0, 0.0, math.pi / 4, math.pi / 3)
        config["angle"] = sampler.choice(angles)
    if kind == "norm":
        config["power"] = sampler.uniform(0.1, 5.0)
    if sampler.chance(0.5):
        deviation = sampler.log_float(0.01, 10.0)
        config["gradient_noise"] = (deviation, deviation)
    return config


def _sizes(function):
    """The smallest and the largest size of a function's vector."""
    if function in FUNCTIONS:
        return FUNCTIONS[function][1:3]
    return {"bowl": (2, 2), "norm": (3, 300)}.get(function, (10, 300))


def names():
    """Sorted names of all functions."""
    own = ("bowl", "norm", "sum_of_quadratics", "projection_quadratic")
    return sorted((*FUNCTIONS, *own))


@register_family(draw)
def losg(
    function="rosenbrock",
    size=2,
    condition=10.0,
    angle=0.0,
    power=2.0,
    scale=1.0,
    log=False,
    sparsity=0.0,
    gradient_noise=None,
    variation=None,
):
    """A synthetic function of a vector that starts in N(0, 1).

    Args:
        function: One of `losg.names()`.
        size: Number of entries of the vector.
        condition, angle: Condition number and rotation of "bowl".
        power: Exponent p of "norm", (sum |A x - b|^p)^(1 / p).
        scale: Factor of the loss.
        log: Whether the loss is the logarithm of the height over the minimum.
        sparsity: Probability per step that an entry's gradient is zero.
        gradient_noise: As for `tasks.augmented`, or None.
        variation: A `Variation`, or a dict of its arguments.
    """
    check_choice("function", function, names())
    check_integer("size", size, *_sizes(function))
    check_number("sparsity", sparsity, "[0, 1)")
    config = (function, size, condition, angle, power, scale, log, sparsity)
    name = f"losg_{function}_{common.digest(config)}"
    least = math.log(1e-8) if log else _least(function, size)
    task = synthetic_task(
        name,
        lambda: Function(*config),
        scale * least,
        common.as_variation(variation),
    )
    if gradient_noise is None:
        return task
    return augmented(task, gradient_noise=gradient_noise)


def _least(function, size):
    return FUNCTIONS[function][3](size) if function in FUNCTIONS else 0.0


class Function(Synthetic):
    """The layer of a function; arguments as for `losg`."""

    def __init__(
        self,
        function,
        size,
        condition,
        angle,
        power,
        scale,
        log,
        sparsity,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.function, self.size = function, size
        self.condition, self.angle, self.power = condition, angle, power
        self.scale, self.log, self.sparsity = scale, log, sparsity
        self.x_initializer = keras.initializers.RandomNormal(stddev=1.0)
        self.matrix_initializer = keras.initializers.RandomNormal(
            stddev=1.0 / math.sqrt(size)
        )
        self.offset_initializer = keras.initializers.RandomNormal(stddev=1.0)

    def build(self, input_shape):
        self.x = self._vector("x", trainable=True)
        if self.function in ("norm", "sum_of_quadratics"):
            self.offset = self._vector("offset", trainable=False)
            self.matrix = self.add_weight(
                name="matrix",
                shape=(self.size, self.size),
                initializer=self.matrix_initializer,
                trainable=False,
            )

    def _vector(self, name, trainable):
        return self.add_weight(
            name=name,
            shape=(self.size,),
            initializer=getattr(self, f"{name}_initializer"),
            trainable=trainable,
        )

    def value(self):
        x = ops.convert_to_tensor(self.x)
        if self.sparsity:
            drawn = keras.random.uniform(
                x.shape, dtype=x.dtype, seed=self.generator
            )
            kept = ops.cast(drawn >= self.sparsity, x.dtype)
            x = kept * x + ops.stop_gradient((1.0 - kept) * x)
        height = self._height(x)
        if self.log:
            least = _least(self.function, self.size)
            height = ops.log(ops.maximum(height - least, 0.0) + 1e-8)
        return self.scale * height

    def _height(self, x):
        if self.function in FUNCTIONS:
            return FUNCTIONS[self.function][0](x)
        if self.function == "bowl":
            sine, cosine = math.sin(self.angle), math.cos(self.angle)
            along, across = (
                cosine * x[0] + sine * x[1],
                cosine * x[1] - sine * x[0],
            )
            return along**2 + self.condition * across**2
        if self.function == "projection_quadratic":
            # A new direction at every step.
            return ops.square(ops.sum(self.normal(x.shape) * x))
        residual = ops.matmul(self.matrix, x) - self.offset
        if self.function == "norm":
            powers = ops.power(ops.abs(residual) + 1e-6, self.power)
            return ops.power(ops.sum(powers), 1.0 / self.power)
        # sum_of_quadratics: one random term per step, as in a batch of one.
        noise = self.normal(x.shape)
        return ops.sum(ops.square(residual + noise)) / self.size

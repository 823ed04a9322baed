"""Quadratic forms of random matrices: TaskSet's `quadratic`.

The size is at most 500 (3,000 in TaskSet), because the state of a problem
contains its matrix.
"""

import keras
from keras import ops

from keras_lopt.checks import check_choice
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.parts.synthetic import Synthetic, synthetic_task
from keras_lopt.tasks.registry import register_family

#: Kinds of random matrices.
MATRICES = ("normal", "uniform", "linspace_eigen", "logspace_eigen")


def draw(sampler):
    """Draws a configuration of `quadratic`."""
    matrix = sampler.choice(MATRICES)
    return {
        "size": sampler.log_int(2, 500),
        "matrix": matrix,
        "numbers": _numbers(sampler, matrix),
        "initial": sampler.choice(("normal", "uniform")),
        "output": sampler.choice(("identity", "log")),
        "scale": sampler.log_float(1e-5, 1e3),
        "noise": sampler.log_float(0.01, 10.0) if sampler.chance(0.5) else 0.0,
        "variation": sampler.variation(),
    }


def _numbers(sampler, matrix):
    if matrix == "normal":  # The sampler has no normal numbers.
        mean = sum(sampler.uniform(-1.0, 1.0) for _ in range(3))
        return (mean, sampler.uniform(0.0, 2.0))
    if matrix == "uniform":
        low = sampler.uniform(-3.0, 1.0)
        return (low, low + sampler.uniform(0.0, 5.0))
    if matrix == "linspace_eigen":
        low = sampler.uniform(0.01, 50.0)
        return (low, low + sampler.uniform(0.0, 100.0))
    return (1e-5, sampler.uniform(1.0, 1000.0))


@register_family(draw)
def quadratic(
    size=16,
    matrix="linspace_eigen",
    numbers=(0.1, 10.0),
    initial="normal",
    output="identity",
    scale=1.0,
    noise=0.0,
    variation=None,
):
    """scale * output(|A x|^2), where every problem draws its own A.

    Args:
        size: Number of entries of x.
        matrix: Distribution of A: "normal", "uniform", or "linspace_eigen" and
            "logspace_eigen", whose eigenvalues are spaced regularly.
        numbers: Two numbers: mean and standard deviation for "normal", bounds
            for "uniform", smallest and largest eigenvalue for the others.
        initial: Distribution of the initial x: "normal", or "uniform" in
            [-1, 1].
        output: "identity" or "log".
        scale: Factor of the loss.
        noise: Standard deviation of the noise that every step adds to A.
        variation: A `Variation`, or a dict of its arguments.
    """
    check_choice("matrix", matrix, MATRICES)
    check_choice("initial", initial, ("normal", "uniform"))
    check_choice("output", output, ("identity", "log"))
    config = (size, matrix, tuple(numbers), initial, output, scale, noise)
    name = f"quadratic_{size}_{common.digest(config)}"
    floor = scale * (-18.5 if output == "log" else 0.0)  # log(1e-8)
    return synthetic_task(
        name,
        lambda: Quadratic(*config),
        floor,
        common.as_variation(variation),
    )


class RandomMatrix(keras.initializers.Initializer):
    """A random square matrix.

    Args:
        matrix, numbers: As for `quadratic`.
        seed: As for Keras's random initializers.
    """

    def __init__(self, matrix, numbers, seed=None):
        self.matrix, self.numbers, self.seed = matrix, numbers, seed

    def __call__(self, shape, dtype=None):
        low, high = self.numbers
        random = {"shape": shape, "dtype": dtype, "seed": self.seed}
        if self.matrix == "normal":
            return keras.random.normal(mean=low, stddev=high, **random)
        if self.matrix == "uniform":
            return keras.random.uniform(minval=low, maxval=high, **random)
        space = ops.linspace
        if self.matrix == "logspace_eigen":
            space = ops.logspace
            low, high = ops.log10(low), ops.log10(high)
        basis, _ = ops.qr(keras.random.normal(**random))
        eigenvalues = ops.cast(space(low, high, shape[0]), dtype)
        return ops.matmul(basis * eigenvalues, ops.transpose(basis))

    def get_config(self):
        return {"matrix": self.matrix, "numbers": self.numbers}


class Quadratic(Synthetic):
    """scale * output(|(A + noise) x|^2); arguments as for `quadratic`."""

    def __init__(
        self, size, matrix, numbers, initial, output, scale, noise, **kwargs
    ):
        super().__init__(**kwargs)
        self.size, self.output_kind = size, output
        self.scale, self.noise = scale, noise
        self.matrix_initializer = RandomMatrix(matrix, numbers)
        self.x_initializer = keras.initializers.get(
            {"class_name": "RandomNormal", "config": {"stddev": 1.0}}
            if initial == "normal"
            else {
                "class_name": "RandomUniform",
                "config": {"minval": -1.0, "maxval": 1.0},
            }
        )

    def build(self, input_shape):
        self.x = self.add_weight(
            name="x", shape=(self.size,), initializer=self.x_initializer
        )
        self.matrix = self.add_weight(
            name="matrix",
            shape=(self.size, self.size),
            initializer=self.matrix_initializer,
            trainable=False,
        )

    def value(self):
        matrix = self.matrix
        if self.noise:
            matrix = matrix + self.noise * self.normal(matrix.shape)
        form = ops.sum(ops.square(ops.matmul(matrix, self.x)))
        if self.output_kind == "log":
            form = ops.log(ops.maximum(form, 0.0) + 1e-8)
        return self.scale * form

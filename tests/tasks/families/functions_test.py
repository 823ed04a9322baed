"""Synthetic functions: gradients in float64, and their least values."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks.families.functions import FUNCTIONS

#: Name -> a point where the function is least.
MINIMA = {
    "ackley": [0.0, 0.0],
    "beale": [3.0, 0.5],
    "branin": [np.pi, 2.275],
    "log_sum_exp": [0.0, 0.0],
    "matyas": [0.0, 0.0],
    "michalewicz": [2.2029055, 1.5707963],
    "rosenbrock": [1.0, 1.0],
    "styblinski_tang": [-2.903534, -2.903534],
    "dependency_chain": [0.0, 1.0],
    "outward_snake": [60.0, np.sin(60.0)],
    "min_max_well": [0.999, 0.999],
}


def value_and_gradient(function, x):
    x = tf.constant(x, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return float(value), tape.gradient(value, x).numpy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_finite_differences(name, rng):
    function = FUNCTIONS[name][0]
    x, step = rng.normal(size=2), 1e-6
    _, gradient = value_and_gradient(function, x)
    for i, expected in enumerate(gradient):
        ends = [x + sign * step * np.eye(2)[i] for sign in (1, -1)]
        values = [value_and_gradient(function, end)[0] for end in ends]
        difference = (values[0] - values[1]) / (2 * step)
        assert expected == pytest.approx(difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_least_value_is_reached_and_not_passed(name, rng):
    function, _, _, least = FUNCTIONS[name]
    value, _ = value_and_gradient(function, MINIMA[name])
    assert value == pytest.approx(least(2), abs=1e-5)
    for point in rng.normal(size=(100, 2)) * 3.0:
        assert value_and_gradient(function, point)[0] >= least(2) - 1e-9


@pytest.mark.parametrize(
    "matrix, numbers, low, high",
    [
        ("linspace_eigen", (0.5, 4.0), 0.5, 4.0),
        ("logspace_eigen", (1e-2, 10.0), 1e-2, 10.0),
    ],
)
def test_matrices_have_their_eigenvalues(matrix, numbers, low, high):
    task = tasks.get("quadratic", size=5, matrix=matrix, numbers=numbers)
    _, state = task.begin(tf.constant([0, 1]))
    (found,) = [value.numpy() for value in state if value.shape == (5, 5)]
    eigenvalues = np.linalg.eigvalsh(found)
    assert eigenvalues[0] == pytest.approx(low, rel=1e-3, abs=1e-5)
    assert eigenvalues[-1] == pytest.approx(high, rel=1e-3)


def test_every_problem_has_its_own_matrix_and_start():
    task = tasks.get("quadratic", size=3)
    (x, state), (other_x, other) = (
        task.begin(tf.constant([0, i])) for i in range(2)
    )
    assert not np.any(np.isin(x[0], other_x[0]))
    drawn = [v.numpy() for v in state + other if v.shape == (3, 3)]
    assert not np.any(np.isin(*drawn))


@pytest.mark.parametrize(
    "config, message",
    [
        ({"function": "sphere"}, "`function` must be one of .*'sphere'"),
        ({"function": "beale", "size": 3}, r"`size` must be .*\[2, 2\]"),
        ({"sparsity": 1.0}, "`sparsity` must be a finite number in"),
    ],
)
def test_bad_functions_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        tasks.get("losg", **config)

"""Synthetic functions: their gradients in float64, and their minima."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.tasks.parts.synthetic import FUNCTIONS

#: Name -> a point where the function has its minimum.
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
def test_gradients_agree_with_finite_differences(name, rng):
    function = FUNCTIONS[name][0]
    x, step = rng.normal(size=2), 1e-6
    _, gradient = value_and_gradient(function, x)
    for i, expected in enumerate(gradient):
        ends = [x + sign * step * np.eye(2)[i] for sign in (1, -1)]
        values = [value_and_gradient(function, end)[0] for end in ends]
        difference = (values[0] - values[1]) / (2 * step)
        assert expected == pytest.approx(difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_minimum_is_attained_and_nothing_is_lower(name, rng):
    function, _, _, least = FUNCTIONS[name]
    value, _ = value_and_gradient(function, MINIMA[name])
    assert value == pytest.approx(least(2), abs=1e-5)
    for point in rng.normal(size=(100, 2)) * 3.0:
        assert value_and_gradient(function, point)[0] >= least(2) - 1e-9

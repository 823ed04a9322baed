"""Synthetic functions made harder: their values follow the formula."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks.parts.synthetic import FUNCTIONS

SEED = tf.constant([0, 3])


def first(task):
    """Loss, gradient, x and state at the start of a problem."""
    (x,), state = task.begin(SEED)
    batch = tf.nest.map_structure(lambda a: a[:1], task.dataset.tensors)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss, _ = task.train_loss([x], state, batch, SEED)
    gradient = tape.gradient(loss, x)
    return float(loss), gradient.numpy(), x.numpy(), state


@pytest.mark.parametrize(
    "config, function",
    [
        ({"scale": 30.0}, lambda value: 30.0 * value),
        ({"log": True}, lambda value: math.log(value + 1e-8)),
        ({}, lambda value: value),
    ],
)
def test_the_loss_is_the_function_scaled_or_its_logarithm(config, function):
    loss, _, x, _ = first(tasks.get("losg", function="beale", **config))
    value = float(FUNCTIONS["beale"][0](tf.constant(x)))
    assert loss == pytest.approx(function(value), rel=1e-5)


def test_a_bowl_is_a_rotated_quadratic():
    config = {"function": "bowl", "condition": 9.0, "angle": math.pi / 3}
    loss, _, (a, b), _ = first(tasks.get("losg", **config))
    along = 0.5 * a + math.sqrt(0.75) * b
    across = 0.5 * b - math.sqrt(0.75) * a
    assert loss == pytest.approx(along**2 + 9.0 * across**2, rel=1e-4)


def test_a_norm_is_the_norm_of_the_residual():
    task = tasks.get("losg", function="norm", size=4, power=3.0)
    loss, _, x, state = first(task)
    (matrix,) = [v.numpy() for v in state if v.shape == (4, 4)]
    (offset,) = [v.numpy() for v in state if v.shape == (4,)]
    powers = np.abs(matrix @ x - offset) ** 3
    assert loss == pytest.approx(np.sum(powers) ** (1 / 3), rel=1e-4)


def test_most_entries_of_a_sparse_gradient_are_zero():
    config = {"function": "styblinski_tang", "size": 100}
    plain, full, x, _ = first(tasks.get("losg", **config))
    loss, sparse, same, _ = first(tasks.get("losg", **config, sparsity=0.8))
    np.testing.assert_array_equal(same, x)
    assert loss == pytest.approx(plain, rel=1e-5)
    kept = sparse != 0.0
    assert 8 <= np.sum(kept) <= 32
    np.testing.assert_allclose(sparse[kept], full[kept], rtol=1e-4)


def test_noise_is_only_in_the_gradient():
    config = {"function": "rosenbrock", "size": 100}
    plain, quiet, _, _ = first(tasks.get("losg", **config))
    task = tasks.get("losg", **config, gradient_noise=(50.0, 50.0))
    loss, noisy, _, _ = first(task)
    assert loss == pytest.approx(plain, rel=1e-5)
    assert np.std(noisy - quiet) == pytest.approx(50.0, rel=0.3)


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

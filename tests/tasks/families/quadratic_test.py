"""Quadratic forms by their formula."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks


def forms(**config):
    """Loss, x and A of a problem."""
    task, seed = tasks.get("quadratic", size=5, **config), tf.constant([0, 1])
    (x,), state = task.begin(seed)
    (matrix,) = [v for v in state if v.shape == (5, 5)]
    batch = tf.nest.map_structure(lambda a: a[:1], task.dataset.tensors)
    loss, _ = task.train_loss([x], state, batch, seed)
    return float(loss), x.numpy(), matrix.numpy()


@pytest.mark.parametrize(
    "config, function",
    [
        ({"matrix": "normal", "numbers": (0.0, 1.0)}, lambda form: form),
        ({"output": "log"}, lambda form: np.log(form + 1e-8)),
        ({"scale": 100.0}, lambda form: 100.0 * form),
    ],
)
def test_the_formula(config, function):
    loss, x, matrix = forms(**config)
    expected = function(np.sum(np.square(matrix @ x)))
    assert loss == pytest.approx(expected, rel=1e-4)


def test_noise_is_on_the_matrix():
    loss, x, matrix = forms(noise=0.5)
    quiet, *same = forms()
    np.testing.assert_array_equal(same[0], x)
    np.testing.assert_array_equal(same[1], matrix)
    assert loss != pytest.approx(quiet, rel=1e-3)


def test_a_uniform_start_is_within_one():
    _, x, _ = forms(initial="uniform")
    assert np.abs(x).max() <= 1.0


@pytest.mark.parametrize("field", ["matrix", "initial", "output"])
def test_unknown_kinds_are_refused(field):
    with pytest.raises(ValueError, match=f"`{field}` must be one of .*'x'"):
        tasks.get("quadratic", **{field: "x"})

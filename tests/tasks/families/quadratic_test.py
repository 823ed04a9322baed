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
def test_the_loss_is_the_formula(config, function):
    loss, x, matrix = forms(**config)
    expected = function(np.sum(np.square(matrix @ x)))
    assert loss == pytest.approx(expected, rel=1e-4)


def test_noise_changes_the_loss_but_not_the_stored_matrix():
    loss, x, matrix = forms(noise=0.5)
    quiet, *same = forms()
    np.testing.assert_array_equal(same[0], x)
    np.testing.assert_array_equal(same[1], matrix)
    assert loss != pytest.approx(quiet, rel=1e-3)


def test_a_uniform_start_has_entries_within_one():
    _, x, _ = forms(initial="uniform")
    assert np.abs(x).max() <= 1.0


@pytest.mark.parametrize("field", ["matrix", "initial", "output"])
def test_unknown_kinds_are_refused(field):
    with pytest.raises(ValueError, match=f"`{field}` must be one of .*'x'"):
        tasks.get("quadratic", **{field: "x"})


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

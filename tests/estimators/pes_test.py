"""PES: unbiased where truncated ES is not; its noise and its clock."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.estimators import NRES, PES, TruncatedES

HORIZON, TRUNCATION = 16, 2
PIECES = HORIZON // TRUNCATION


def balance(thetas, states, seeds):
    """One step of influence balancing, with four units.

    As in arXiv 2112.13835 and 1702.05043. Theta drives the first unit up and
    the others down; it takes steps until these reach the first, whose distance
    from 1 is the loss. So the influence of theta changes its sign.
    """
    inflow = thetas * [[1.0, -1.0, -1.0, -1.0]]
    shifted = tf.pad(states[:, 1:], [[0, 0], [0, 1]])
    states = 0.5 * states + 0.5 * shifted + inflow
    return states, 0.5 * (states[:, 0] - 1.0) ** 2


def balance_gradient(theta):
    """Gradient of a run's mean loss; the first unit is theta * influence."""
    influence, state = [], np.zeros(5)
    for _ in range(HORIZON):
        state[:4] = 0.5 * (state[:4] + state[1:]) + [1.0, -1.0, -1.0, -1.0]
        influence.append(state[0])
    influence = np.array(influence)
    return np.mean((theta * influence - 1.0) * influence)


def count(thetas, states, seeds):
    """A step whose state and loss are the number of steps in the problem."""
    return states + 1.0, states[:, 0] + 1.0


@pytest.fixture
def whole_run_estimates(analytic_run, outer_steps):
    """Callable: kind and theta -> 2,000 mean estimates over a whole run."""

    def estimates(kind, theta):
        # One pair at each position of the run, once all have begun anew.
        estimator = kind(
            pairs=PIECES, horizon=HORIZON, truncation=TRUNCATION, sigma=0.1
        )
        run = analytic_run(balance, 1, state_size=4, num_steps=TRUNCATION)
        thetas = np.full([2000, 1], theta, np.float32)
        results = outer_steps(estimator, run, thetas, 2 * PIECES)
        return np.mean([grads for grads, *_ in results[PIECES:]], axis=0)[:, 0]

    return estimates


@pytest.mark.parametrize("kind", [PES, NRES])
@pytest.mark.parametrize("theta", [-0.3, 0.5])
def test_is_unbiased_over_a_whole_run(whole_run_estimates, kind, theta):
    gradient = balance_gradient(theta)
    estimates = whole_run_estimates(kind, theta)
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert error < 0.1 * abs(gradient)  # The noise is small.
    assert abs(np.mean(estimates) - gradient) < 4.0 * error


def relax(thetas, states, seeds):
    """A state that follows theta slowly, and how far it is from 1."""
    states = 0.9 * states + 0.1 * thetas
    return states, tf.reduce_sum((states - 1.0) ** 2, axis=1)


def test_nres_varies_less_than_pes_over_many_truncations(
    analytic_run, outer_steps
):
    """40 truncations per problem: the accumulated noise of PES is larger."""
    variances, means = [], []
    for kind in (NRES, PES):
        estimator = kind(pairs=16, horizon=80, truncation=2, sigma=0.1)
        run = analytic_run(relax, 1, num_steps=2)
        thetas = np.full([200, 1], 0.5, np.float32)
        results = outer_steps(estimator, run, thetas, 60)
        grads = np.array([grads for grads, *_ in results[40:]])
        variances.append(grads.var())
        means.append(grads.mean())
    assert variances[0] < 0.75 * variances[1]
    assert means[0] == pytest.approx(means[1], rel=0.1)


def test_truncated_es_is_biased_even_in_its_sign(whole_run_estimates):
    estimates = whole_run_estimates(TruncatedES, 0.5)
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert balance_gradient(0.5) > 1.0
    assert np.mean(estimates) < -10.0 * error


def test_noise_accumulates_until_a_problem_ends(analytic_run, outer_steps):
    estimator = PES(pairs=4, horizon=8, truncation=2)
    run = analytic_run(count, theta_size=3, num_steps=2)
    results = outer_steps(estimator, run, np.zeros([2, 3], np.float32), 12)
    expected = np.zeros([2, 4, 3], np.float32)
    steps, resets = np.zeros(4, int), 0
    for _, _, state, drawn in results:
        expected = np.where((steps == 0)[None, :, None], 0.0, expected)
        expected += drawn.numpy()
        np.testing.assert_allclose(state.noise, expected, rtol=1e-5, atol=1e-5)
        steps = state.steps.numpy()
        resets += np.sum(steps == 0)
    assert resets == 12  # Every one of 4 pairs ended 3 times in 12 * 2 steps.


def test_problems_end_at_different_times(analytic_run, outer_steps):
    estimator = PES(pairs=4, horizon=8, truncation=2)
    run = analytic_run(count, theta_size=1, num_steps=2)
    results = outer_steps(estimator, run, np.zeros([1, 1], np.float32), 9)
    states = [state for _, _, state, _ in results]
    ended = np.array([state.steps.numpy() == 0 for state in states])
    # One pair ends at a time: the first after one estimate, then every four.
    for number in range(4):
        expected = np.arange(9) % 4 == number
        np.testing.assert_array_equal(ended[:, number], expected)
    # A new problem has a new seed and starts from step 0, not from its state.
    for before, after, new in zip(states, states[1:], ended):
        same = np.all(before.seeds == after.seeds, axis=1)
        np.testing.assert_array_equal(same, ~new)
        reached = np.where(new, 2.0, before.inner[0, :, 0, 0] + 2.0)
        for side in (0, 1):
            np.testing.assert_array_equal(after.inner[0, :, side, 0], reached)


@pytest.mark.parametrize(
    "pairs, ends",
    [
        (1, [2]),
        (2, [2, 6]),
        (4, [2, 4, 6, 8]),
        (8, [2, 2, 4, 4, 6, 6, 8, 8]),
    ],
)
def test_first_problems_are_cut_short_evenly(pairs, ends, analytic_run):
    estimator = PES(pairs=pairs, horizon=8, truncation=2)
    run = analytic_run(count, theta_size=1, num_steps=2)
    state = estimator.initial_state(run, 1, pairs, 0)
    np.testing.assert_array_equal(state.ends, ends)


@pytest.mark.parametrize("truncation", [3, 16])
def test_the_truncation_must_divide_the_horizon(truncation):
    with pytest.raises(
        ValueError,
        match="`truncation` must divide `horizon`. Received: "
        f"truncation={truncation}, horizon=8",
    ):
        PES(pairs=2, horizon=8, truncation=truncation)


@pytest.mark.parametrize("truncation", [0, -2, 2.0, "2", True, None])
def test_the_truncation_must_be_a_number_of_steps(truncation):
    with pytest.raises(
        ValueError,
        match="`truncation` must be an integer >= 1. Received: "
        f"truncation={truncation!r}",
    ):
        PES(pairs=2, horizon=8, truncation=truncation)


def test_an_estimate_is_one_truncation(tiny_rule, tiny_task):
    estimator = PES(pairs=2, horizon=8, truncation=4)
    assert estimator.steps_per_estimate == 4
    assert estimator.inner_run(tiny_rule, tiny_task).num_steps == 4


def test_the_same_seed_gives_the_same_estimates(analytic_run, outer_steps):
    estimator = PES(pairs=4, horizon=8, truncation=2)
    run = analytic_run(balance, theta_size=1, state_size=4, num_steps=2)
    thetas = np.full([2, 1], 0.5, np.float32)
    first, again, other = (
        tf.stack([g for g, *_ in outer_steps(estimator, run, thetas, 3, seed)])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other)

"""Horizons: how they are distributed, told, and hidden."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.estimators import (
    ES,
    NRES,
    PES,
    Constant,
    Growing,
    LogUniform,
    TruncatedES,
)


def samples(horizon, outer_step=0, multiple=10, count=2000):
    """[count] horizons of as many problems."""
    seeds = tf.stack([tf.range(count), tf.fill([count], 7)], axis=1)
    step = tf.constant(outer_step)

    @tf.function(autograph=False)
    def sample():  # Eager, it would take a minute.
        return tf.map_fn(
            lambda seed: horizon.sample(seed, step, multiple),
            seeds,
            fn_output_signature=tf.int32,
        )

    return sample().numpy()


def test_constant_horizons_are_constant():
    assert set(samples(Constant(70), count=10)) == {70}


def test_log_uniform_horizons_have_as_many_in_each_octave():
    drawn = samples(LogUniform(100, 1600))
    assert drawn.min() >= 100 and drawn.max() <= 1600
    assert np.all(drawn % 10 == 0)
    shares, _ = np.histogram(np.log2(drawn / 100), bins=4, range=(0, 4))
    np.testing.assert_allclose(shares / len(drawn), 0.25, atol=0.04)


def test_each_octave_has_as_many_of_the_steps():
    drawn = samples(LogUniform(100, 1600, shares_of="steps"), count=8000)
    assert drawn.min() >= 100 and drawn.max() <= 1600
    octaves = np.log2(drawn / 100)
    steps, _ = np.histogram(octaves, bins=4, range=(0, 4), weights=drawn)
    np.testing.assert_allclose(steps / np.sum(drawn), 0.25, atol=0.04)
    message = "`shares_of` must be .*'problems'.*'steps'.*'time'"
    with pytest.raises(ValueError, match=message):
        LogUniform(100, 200, shares_of="time")


def test_growing_horizons_start_at_the_shortest_and_end_log_uniform():
    horizon = Growing(100, 1600, outer_steps=40)
    assert set(samples(horizon, 0, count=50)) == {100}
    # Half of the way is half of the octaves.
    assert 350 < samples(horizon, 20).max() <= 400
    at_the_end = samples(LogUniform(100, 1600))
    np.testing.assert_array_equal(samples(horizon, 40), at_the_end)
    np.testing.assert_array_equal(samples(horizon, 400), at_the_end)


def count_steps(thetas, states, seeds):
    return states + 1.0, states[:, 0]


def run_problems(analytic_run, outer_steps, estimator, count):
    """Rows of (steps before, horizon told, end) of every pair and step."""
    run = analytic_run(count_steps, 2, num_steps=10)
    results = outer_steps(estimator, run, np.zeros([1, 2], np.float32), count)
    return [state for _, _, state, _ in results]


@pytest.mark.parametrize("kind", [PES, NRES, TruncatedES])
def test_problems_run_until_their_horizon(kind, analytic_run, outer_steps):
    estimator = kind(pairs=8, horizon=LogUniform(20, 80), truncation=10)
    states = run_problems(analytic_run, outer_steps, estimator, 40)
    lengths = set()
    for before, after in zip(states[8:], states[9:]):
        ended = after.steps.numpy() == 0
        # What it ends at is what the rule was told.
        length = before.steps.numpy() + 10
        np.testing.assert_array_equal(
            length[ended], after.horizons.numpy()[ended]
        )
        lengths |= set(length[ended].tolist())
        assert np.all(length[~ended] < after.horizons.numpy()[~ended])
    assert {20, 30, 40, 50, 60} <= lengths <= set(range(20, 90, 10))


def test_first_problems_end_at_different_times(analytic_run, outer_steps):
    estimator = PES(pairs=8, horizon=LogUniform(80, 80), truncation=10)
    states = run_problems(analytic_run, outer_steps, estimator, 8)
    for number, state in enumerate(states):
        np.testing.assert_array_equal(
            np.flatnonzero(state.steps.numpy() == 0), [number]
        )


@pytest.mark.parametrize("hidden, share", [(0.0, 0.0), (0.25, 0.25), (1.0, 1)])
def test_the_horizon_is_hidden_in_a_fraction(
    hidden, share, analytic_run, outer_steps
):
    estimator = PES(
        pairs=64, horizon=LogUniform(10, 40), truncation=10, hidden=hidden
    )
    states = run_problems(analytic_run, outer_steps, estimator, 16)
    told = np.array([state.horizons for state in states])
    assert np.mean(told == 0) == pytest.approx(share, abs=0.06)
    # Hidden or not, problems end.
    ends = np.array([state.ends for state in states])
    assert set(ends[told == 0].tolist()) <= {10, 20, 30, 40}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((200, 100), "`low` must be <= `high`.*low=200, high=100"),
        ((0, 100), "`low` must be an integer >= 1.*low=0"),
        ((1, 100.0), "`high` must be an integer >= 1.*high=100.0"),
    ],
)
def test_ranges_without_horizons_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LogUniform(*arguments)


def test_a_horizon_must_be_a_multiple_of_the_truncation():
    message = (
        "`truncation` must divide `low` and `high`. Received: truncation=20, "
        "low=30, high=100"
    )
    with pytest.raises(ValueError, match=message):
        PES(pairs=2, horizon=LogUniform(30, 100), truncation=20)


def test_whole_runs_side_by_side_are_equally_long():
    with pytest.raises(
        ValueError, match="`horizon` must be an integer for `ES`"
    ):
        ES(pairs=2, horizon=LogUniform(10, 20))
    assert ES(pairs=2, horizon=Constant(10)).steps_per_estimate == 10

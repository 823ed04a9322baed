"""Comparison with tuned Adam: metrics of curves that are known."""

import dataclasses

import numpy as np
import pytest

from keras_lopt import evaluation
from keras_lopt.evaluation import comparison as comparisons
from keras_lopt.evaluation import report

#: Number of steps of the fixture `known`.
STEPS = 6
#: Mean of its training losses that start at 1.0.
MEAN = np.mean(0.5 ** np.arange(STEPS))


def test_adam_is_tuned_for_each_metric_and_divergence_never_wins(known):
    assert known.best_learning_rate("mean_train_loss") == 0.1
    rate = known.best_learning_rate("test_loss")
    tests = {rate: [c.test_loss for c in cs] for rate, cs in known.adam.items()}
    assert rate == min(tests, key=lambda r: np.mean(tests[r]))


def test_adam_that_always_diverges_is_refused(known, curve):
    adam = {0.5: [curve(np.nan)], 1.0: [curve(np.inf)]}
    known = dataclasses.replace(known, adam=adam)
    with pytest.raises(
        ValueError,
        match="`rates` must have a learning rate with which Adam's "
        r"`mean_train_loss` is finite. Received: rates=\(0.5, 1.0\)",
    ):
        known.row("mean_train_loss")


def test_row_counts_seeds_and_pairs_differences(known):
    row = known.row("mean_train_loss")
    assert row["ours"] == pytest.approx(1.5 * MEAN)
    assert row["difference"] == pytest.approx(0.0)
    assert row["difference_error"] == pytest.approx(0.5 * MEAN)
    assert (row["seeds"], row["seeds_better"]) == (2, 1)
    assert report.verdict(row) == "equal"


def test_row_has_the_numbers_of_the_best_learning_rate(known):
    known.adam.pop(1.0)
    expected = {
        "benchmark": "known",
        "steps": STEPS,
        "metric": "test_loss",
        "ours": 0.2,
        "ours_error": 0.1,
        "adam": 0.2,
        "adam_error": 0.0,
        "adam_learning_rate": 0.01,
        "difference": 0.0,
        "difference_error": 0.1,
        "difference_interval": 1.2706205,
        "seeds": 2,
        "seeds_better": 1,
    }
    row = known.row("test_loss")
    assert list(row) == list(expected)
    assert row == pytest.approx(expected)


def test_a_diverged_run_is_never_better(known, curve):
    diverged = dataclasses.replace(known, ours=[curve(np.nan)] * 2)
    row = diverged.row("mean_train_loss")
    assert np.isnan(row["difference"]) and row["seeds_better"] == 0
    assert report.verdict(row) == "worse"
    assert diverged.speed_up == 0.0


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, 1.0), (100.0, 0.0), (1e-9, 6.0)]
)
def test_speed_up_counts_steps_until_adams_final_loss(known, factor, expected):
    adam = known.adam[0.1]
    ours = [
        dataclasses.replace(c, train_losses=factor * c.train_losses)
        for c in adam
    ]
    assert dataclasses.replace(known, ours=ours).speed_up == expected


def test_smooth_keeps_a_constant():
    np.testing.assert_allclose(comparisons.smooth(np.full(9, 2.5)), 2.5)


def test_smooth_is_a_weighted_mean_of_the_losses_so_far():
    weights = np.array([0.25, 0.5, 1.0])  # Decay 0.5, the latest weighs most.
    losses = np.array([4.0, 1.0, 3.0])
    expected = [
        np.average(losses[: i + 1], weights=weights[2 - i :]) for i in range(3)
    ]
    np.testing.assert_allclose(comparisons.smooth(losses, 0.5), expected)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [([3.0], 0.0), ([1.0, 3.0], 1.0), ([2.0, 2.0, 2.0, 6.0], 1.0)],
)
def test_standard_error_is_that_of_the_mean(sample, expected):
    assert comparisons.standard_error(sample) == pytest.approx(expected)


def test_values_and_mean_curve_are_over_problems(known):
    values = comparisons.values(known.ours, "test_loss")
    np.testing.assert_array_equal(values, [0.3, 0.1])
    mean = comparisons.mean_curve(known.ours)
    np.testing.assert_array_equal(mean, 1.5 * 0.5 ** np.arange(STEPS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": 0}, "`seeds` must be >= 1.*seeds=0"),
        ({"seeds": 1, "rates": (0.0,)}, "`rates` must be .*rates="),
        ({"seeds": 1, "rates": ()}, r"`rates` must be .*rates=\(\)"),
    ],
)
def test_bad_seeds_and_rates_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.compare("x", None, None, 5, **arguments)


@pytest.mark.parametrize(
    "sample, expected",
    [([1.0, 2.0, 3.0], 4.302653 / 3**0.5), ([2.0, 2.0], 0.0), ([1.0], np.inf)],
)
def test_the_interval_is_students(sample, expected):
    assert comparisons.interval(np.array(sample)) == pytest.approx(expected)

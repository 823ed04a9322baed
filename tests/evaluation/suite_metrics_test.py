"""Metrics of curves that are known, and their aggregates."""

import math

import numpy as np
import pytest

from keras_lopt.evaluation import suite_metrics
from keras_lopt.evaluation.rate_curves import RateCurves

STEPS = np.array([1, 2, 4, 8])


def curves(*losses, start=4.0, tests=None):
    rates = (0.1, 0.01)[: len(losses)]
    tests = np.array(tests or [1.0] * len(losses))
    return RateCurves(rates, start, STEPS, np.array(losses), tests)


ADAM = curves([4.0, 2.0, 2.0, 1.0], [1.5, 3.0, np.nan, np.nan], tests=[3, 2])


def test_numbers_of_a_better_optimizer():
    found = suite_metrics.against(
        ADAM, curves([4.0, 1.0, 0.8, 0.5], tests=[1.0])
    )
    assert found == {
        "rate": 0.1,
        "final": 1.0,
        "test": 2.0,
        "ratio": 2.0,
        "speed_up": 4.0,
        "equivalent_steps": 1.0,
        "test_ratio": 2.0,
        "is_worse": False,
    }


def test_numbers_of_a_worse_optimizer_use_adams_best_rate_at_each_step():
    found = suite_metrics.against(ADAM, curves([4.0, 3.0, 2.0, 1.6]))
    assert found["is_worse"] and found["speed_up"] == 0.0
    assert found["equivalent_steps"] == 1 / 8
    assert found["ratio"] == pytest.approx(1 / 1.6)


@pytest.mark.parametrize("end", [np.nan, np.inf, 4.1])
def test_a_diverged_run_has_nothing(end):
    ours = curves([4.0, 0.1, 0.1, end])
    assert ours.has_diverged
    found = suite_metrics.against(ADAM, ours)
    assert found["is_worse"]
    assert [found[m] for m in suite_metrics.METRICS] == [0.0] * 4


def test_losses_of_zero_are_equal_and_negative_ones_have_no_ratio():
    assert suite_metrics.ratio(0.0, 1e-12, start=1.0) == 1.0
    assert suite_metrics.ratio(0.5, 0.0, start=1.0) == 0.5e7
    assert math.isnan(suite_metrics.ratio(-1.0, 1.0, start=1.0))
    zero = curves([1.0, 0.0, 0.0, 0.0])
    assert not suite_metrics.against(zero, zero)["is_worse"]


def test_the_floor_is_subtracted_from_all_losses():
    found = ADAM.above(-1.0)
    assert found.start == 5.0 and found.final == 2.0 and found.test == 3.0


def test_the_interval_of_the_middle_half_contains_it():
    values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0, math.nan]
    found = suite_metrics.aggregate(values)
    assert found["median"] == 3.5 and found["iqm"] == 3.5
    assert found["low"] < 3.5 < found["high"]
    assert found == suite_metrics.aggregate(values)
    equal = suite_metrics.aggregate([2.0, 2.0])
    assert equal == {"median": 2.0, "iqm": 2.0, "low": 2.0, "high": 2.0}
    assert math.isnan(suite_metrics.aggregate([])["iqm"])

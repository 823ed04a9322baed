"""Metrics of a learned optimizer on the tasks of a suite.

The *final loss* is the last value of the training loss smoothed by an EMA of
0.95, above the least possible loss where that is known. A baseline has the
learning rate with the lowest final loss of each task.

- *ratio*: the baseline's final loss / the optimizer's; above 1 is better.
- *speed-up*: horizon / first step with the baseline's final loss; 0 if never.
- *equivalent steps*: the fraction of the horizon that the baseline, with the
  best learning rate for each number of steps, needs for the optimizer's final
  loss; 1 if it never gets there. [VeLO]
- *test ratio*: the same as the ratio, for losses on the test split; the
  baseline has the learning rate with the lowest test loss.

A run has *diverged* if its final loss is not finite or above the loss at the
start; it has 0 of everything.
"""

import math

import numpy as np
from scipy import stats

#: Losses below this fraction of the loss at the start count as equal to it.
RESOLUTION = 1e-7
#: Number of resamples of a bootstrap interval, and its confidence.
RESAMPLES, CONFIDENCE = 5000, 0.95
METRICS = ("ratio", "speed_up", "equivalent_steps", "test_ratio")


def ratio(baseline, ours, start):
    """`baseline / ours`; NaN if a loss is negative, 0 if ours is infinite."""
    if not math.isfinite(ours):
        return 0.0
    least = RESOLUTION * abs(start)
    if min(baseline, ours) < -least:
        return math.nan
    return float(max(baseline, least) / max(ours, least))


def speed_up(baseline, ours):
    """Horizon / first step at which ours has the baseline's final loss."""
    level = max(baseline.final, RESOLUTION * abs(baseline.start))
    reached = np.flatnonzero(ours.losses[0] <= level)
    if not len(reached) or not math.isfinite(level):
        return 0.0
    return float(ours.steps[-1] / ours.steps[reached[0]])


def equivalent_steps(baseline, ours):
    """Fraction of the horizon after which the baseline has our final loss."""
    level = max(ours.final, RESOLUTION * abs(ours.start))
    reached = np.flatnonzero(baseline.envelope <= level)
    if not len(reached):
        return 1.0
    return float(baseline.steps[reached[0]] / baseline.steps[-1])


def against(baseline, ours):
    """Dict with the numbers of one baseline, and of ours against it.

    Args:
        baseline, ours: `RateCurves` of the same task, above its least loss.
    """
    numbers = {
        "rate": baseline.rates[baseline.best],
        "final": baseline.final,
        "test": baseline.test,
    }
    if ours.has_diverged:
        return {**numbers, **dict.fromkeys(METRICS, 0.0), "is_worse": True}
    return {
        **numbers,
        "ratio": ratio(baseline.final, ours.final, ours.start),
        "speed_up": speed_up(baseline, ours),
        "equivalent_steps": equivalent_steps(baseline, ours),
        "test_ratio": ratio(baseline.test, ours.test, ours.start),
        "is_worse": bool(ours.final > _level(baseline.final, ours.start)),
    }


def _level(loss, start):
    return max(loss, RESOLUTION * abs(start))


def aggregate(values):
    """Median, IQM and its bootstrap interval over tasks, as a dict.

    Args:
        values: Numbers, one per task; NaN where a task has none.
    """
    values = np.array([v for v in values if not math.isnan(v)])
    if len(values) == 0:
        return dict.fromkeys(("median", "iqm", "low", "high"), math.nan)
    low = high = interquartile_mean(values)
    if np.ptp(values) > 0:
        interval = stats.bootstrap(
            (values,),
            interquartile_mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        low, high = interval.low, interval.high
    return {
        "median": float(np.median(values)),
        "iqm": float(interquartile_mean(values)),
        "low": float(low),
        "high": float(high),
    }


def interquartile_mean(values, axis=-1):
    """Mean of the middle half of the values."""
    return stats.trim_mean(values, 0.25, axis=axis)


def summarize(rows, baselines):
    """Dict from a baseline's name to its aggregates over rows.

    Args:
        rows: List of dicts of the tasks that were not skipped.
        baselines: Names of baselines.

    Returns:
        Per baseline a dict: `tasks`, the number of rows; `better` and
        `test_no_worse`, fractions of them; per metric, an `aggregate`.
    """
    return {
        name: {
            "tasks": len(rows),
            "better": _mean([not r[f"{name}_is_worse"] for r in rows]),
            "test_no_worse": _mean(
                [r[f"{name}_test_ratio"] >= 1.0 for r in rows]
            ),
            **{m: aggregate([r[f"{name}_{m}"] for r in rows]) for m in METRICS},
        }
        for name in baselines
    }


def _mean(flags):
    return float(np.mean(flags)) if flags else math.nan

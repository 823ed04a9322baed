"""Curves of one optimizer on one task, for one or more learning rates.

Curves are smoothed losses, averaged over problems and thinned out, which is
all that the metrics of a suite need.
"""

import dataclasses

import numpy as np

from keras_lopt.evaluation.comparison import mean_curve, smooth
from keras_lopt.evaluation.curves import Trainee

#: Number of points to keep of a curve.
POINTS = 200


@dataclasses.dataclass(frozen=True)
class RateCurves:
    """What an optimizer did on a task.

    Attributes:
        rates: Tuple of the r learning rates; (None,) for one untuned run.
        start: Loss on the first batch, before any step.
        steps: [n] numbers of steps of the points; the last is the horizon.
        losses: [r, n] training losses, smoothed by an EMA of 0.95.
        test_losses: [r] losses on the test split after the last step.
    """

    rates: tuple
    start: float
    steps: np.ndarray
    losses: np.ndarray
    test_losses: np.ndarray

    @classmethod
    def of(cls, curves, points=POINTS):
        """From a dict of a rate to a list of `Curve`s, one per problem.

        Args:
            curves: The dict.
            points: Most points to keep; None: all.
        """
        means = [mean_curve(runs) for runs in curves.values()]
        count = len(means[0])
        kept = min(count, points or count)
        steps = np.unique(np.round(np.linspace(1, count, kept)).astype(int))
        with np.errstate(invalid="ignore", over="ignore"):
            losses = np.stack([smooth(mean) for mean in means])
        tests = [np.mean([c.test_loss for c in cs]) for cs in curves.values()]
        return cls(
            tuple(curves),
            float(means[0][0]),
            steps,
            losses[:, steps - 1].astype(np.float32),
            np.array(tests, np.float32),
        )

    def above(self, floor):
        """These curves with `floor`, the least possible loss, subtracted."""
        return dataclasses.replace(
            self,
            start=self.start - floor,
            losses=self.losses - np.float32(floor),
            test_losses=self.test_losses - np.float32(floor),
        )

    @property
    def best(self):
        """Index of the rate with the lowest final loss."""
        return int(np.argmin(_finite(self.losses[:, -1])))

    @property
    def final(self):
        """The lowest final loss; infinite if there is no finite one."""
        return float(_finite(self.losses[:, -1])[self.best])

    @property
    def test(self):
        """The lowest test loss of any rate, which need not be the best."""
        return float(np.min(_finite(self.test_losses)))

    @property
    def envelope(self):
        """[n] lowest loss of any rate up to each point."""
        lowest = np.min(_finite(self.losses), axis=0)
        return np.minimum.accumulate(lowest)

    @property
    def has_diverged(self):
        """Whether the final loss is not finite or above the start."""
        return not self.final <= self.start


def _finite(values):
    return np.where(np.isfinite(values), values, np.inf)


def train_baseline(task, baseline, num_steps, seeds, rates):
    """`RateCurves` of a `Baseline`, compiled once.

    Args:
        task: A `tasks.Task`.
        baseline: A `Baseline`.
        num_steps: Number of steps per run.
        seeds: Numbers of the problems.
        rates: Learning rates.
    """
    optimizer, set_rate = baseline.make(num_steps)
    trainee = Trainee(task, optimizer, num_steps, set_rate)
    return RateCurves.of(
        {rate: [trainee.train(i, rate) for i in seeds] for rate in rates}
    )


def train_learned(trainee, seeds):
    """`RateCurves` of the untuned runs of a `Trainee`, at every step."""
    runs = {None: [trainee.train(number) for number in seeds]}
    return RateCurves.of(runs, points=None)

"""Ours against Adam with a tuned learning rate, on the same problems."""

import dataclasses

import keras
import numpy as np

from keras_lopt.evaluation.curves import Trainee

#: Half-decades. The hopeless ends of the literature's grid (1e-7 .. 1) are
#: dropped: on problems this small they never win.
LEARNING_RATES = tuple(10.0 ** (k / 2) for k in range(-8, 0))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Curves of the same problems by the learned optimizer and by Adam.

    Attributes:
        name: What is compared on.
        num_steps: Length of the runs.
        ours: List of `Curve`s, one a problem.
        adam: Dict from learning rate to such a list.
    """

    name: str
    num_steps: int
    ours: list
    adam: dict

    def best_learning_rate(self, metric):
        """Adam's learning rate with the lowest mean of a metric.

        Args:
            metric: "mean_train_loss" or "test_loss".
        """
        return best_rate(self.adam, metric)

    def row(self, metric):
        """Ours and Adam, tuned for this very metric, as a dict of numbers."""
        rate = self.best_learning_rate(metric)
        ours = values(self.ours, metric)
        adam = values(self.adam[rate], metric)
        difference = ours - adam
        return {
            "problem": self.name,
            "steps": self.num_steps,
            "metric": metric,
            "ours": float(np.mean(ours)),
            "ours_error": standard_error(ours),
            "adam": float(np.mean(adam)),
            "adam_error": standard_error(adam),
            "adam_learning_rate": rate,
            "difference": float(np.mean(difference)),
            "difference_error": standard_error(difference),
            "seeds": len(ours),
            "seeds_better": int(np.sum(ours < adam)),
        }

    @property
    def speed_up(self):
        """Horizon / first step with tuned Adam's final loss; 0 if never.

        Losses are the mean curves, smoothed by an EMA of 0.95. [Celo]
        """
        rate = self.best_learning_rate("mean_train_loss")
        ours, adam = mean_curve(self.ours), mean_curve(self.adam[rate])
        reached = np.flatnonzero(smooth(ours) <= smooth(adam)[-1])
        return self.num_steps / (reached[0] + 1) if len(reached) else 0.0


def values(curves, metric):
    """[seeds] values of a metric of `Curve`."""
    return np.array([getattr(curve, metric) for curve in curves])


def mean_curve(curves):
    """[steps] training losses, mean over the problems."""
    return np.mean([curve.train_losses for curve in curves], axis=0)


def smooth(losses, decay=0.95):
    """Bias-corrected exponential moving average of [steps] losses."""
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = decay * mean + (1.0 - decay) * loss
        smoothed.append(mean / (1.0 - decay**count))
    return np.array(smoothed)


def standard_error(sample):
    """Of the mean of a sample; 0 for a single value."""
    if len(sample) < 2:
        return 0.0
    return float(np.std(sample, ddof=1) / np.sqrt(len(sample)))


def compare(name, task, optimizer, num_steps, seeds, rates=LEARNING_RATES):
    """Trains `seeds` problems with the optimizer, and with Adam on a grid.

    The learned optimizer is not tuned: one run a problem.

    Args:
        name: Of what is compared, for reports.
        task: A `tasks.Task`.
        optimizer: A `LearnedOptimizer`.
        num_steps: Length of the runs.
        seeds: Number of problems, at least 1.
        rates: Adam's learning rates.

    Returns:
        A `Comparison`.
    """
    adam = train_adam(task, num_steps, seeds, rates)
    trainee = Trainee(task, optimizer, num_steps)
    ours = [trainee.train(number) for number in range(seeds)]
    return Comparison(name, num_steps, ours, adam)


def train_adam(task, num_steps, seeds, rates=LEARNING_RATES):
    """Dict from learning rate to Adam's `Curve`s on problems 0, 1, ..."""
    if seeds < 1:
        raise ValueError(f"`seeds` must be >= 1. Received: seeds={seeds}")
    if not rates or min(rates) <= 0.0:
        raise ValueError(
            "`rates` must be one or more learning rates > 0. "
            f"Received: rates={rates}"
        )
    trainee = Trainee(task, keras.optimizers.Adam(), num_steps)
    return {
        rate: [trainee.train(i, rate) for i in range(seeds)] for rate in rates
    }


def best_rate(adam, metric):
    """The learning rate with the lowest mean of a metric.

    Args:
        adam: As from `train_adam`.
        metric: "mean_train_loss" or "test_loss".
    """
    means = {
        rate: np.mean(values(curves, metric)) for rate, curves in adam.items()
    }
    finite = {r: m for r, m in means.items() if np.isfinite(m)}
    return min(finite, key=finite.get)

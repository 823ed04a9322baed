"""A learned optimizer against tuned Adam, on the same problems.

"Ours" is the learned optimizer.
"""

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np
from scipy import stats

from keras_lopt.evaluation.curves import Curve, Trainee
from keras_lopt.tasks import Task

#: Half-decades from 1e-4 to 0.3. The ends of the grid in the literature, 1e-7
#: to 1, are left out: on problems this small they never win.
LEARNING_RATES = tuple(10.0 ** (k / 2) for k in range(-8, 0))
#: The metrics of a `Curve` on which optimizers are compared; lower is better.
METRICS = ("mean_train_loss", "test_loss")


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What to compare optimizers on.

    Args:
        name: Name for the report.
        task: Function without arguments that builds a `tasks.Task`.
        num_steps: Number of steps per run.
        seeds: Number of problems; None: as many as `run` says.
    """

    name: str
    task: Callable[[], Task]
    num_steps: int = 200
    seeds: int | None = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Curves of the same problems by the learned optimizer and by Adam.

    Attributes:
        name: Name of the benchmark.
        num_steps: Number of steps per run.
        ours: List of `Curve`s, one per problem.
        adam: Dict from a learning rate to such a list.
    """

    name: str
    num_steps: int
    ours: list[Curve]
    adam: dict[float, list[Curve]]

    def best_learning_rate(self, metric):
        """Adam's learning rate with the lowest mean of a metric.

        Args:
            metric: One of `METRICS`.
        """
        return best_rate(self.adam, metric)

    def row(self, metric):
        """Numbers of ours and of Adam, tuned for this metric, as a dict."""
        rate = self.best_learning_rate(metric)
        ours = values(self.ours, metric)
        adam = values(self.adam[rate], metric)
        difference = ours - adam
        return {
            "benchmark": self.name,
            "steps": self.num_steps,
            "metric": metric,
            "ours": float(np.mean(ours)),
            "ours_error": standard_error(ours),
            "adam": float(np.mean(adam)),
            "adam_error": standard_error(adam),
            "adam_learning_rate": rate,
            "difference": float(np.mean(difference)),
            "difference_error": standard_error(difference),
            "difference_interval": interval(difference),
            "seeds": len(ours),
            "seeds_better": int(np.sum(ours < adam)),
        }

    @property
    def speed_up(self):
        """Number of steps / first step with tuned Adam's final loss.

        0 if that loss is never reached. Losses are the mean over problems,
        smoothed by an EMA of 0.95. [Celo]
        """
        rate = self.best_learning_rate("mean_train_loss")
        ours, adam = mean_curve(self.ours), mean_curve(self.adam[rate])
        reached = np.flatnonzero(smooth(ours) <= smooth(adam)[-1])
        return self.num_steps / (reached[0] + 1) if len(reached) else 0.0


def values(curves, metric):
    """[seeds] values of one of `METRICS`."""
    return np.array([getattr(curve, metric) for curve in curves])


def mean_curve(curves):
    """[steps] training losses, averaged over problems."""
    return np.mean([curve.train_losses for curve in curves], axis=0)


def smooth(losses, decay=0.95):
    """Bias-corrected exponential moving average of [steps] losses."""
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = decay * mean + (1.0 - decay) * loss
        smoothed.append(mean / (1.0 - decay**count))
    return np.array(smoothed)


def standard_error(sample):
    """Standard error of the mean of a sample; 0 for a single value."""
    if len(sample) < 2:
        return 0.0
    return float(np.std(sample, ddof=1) / np.sqrt(len(sample)))


def interval(sample):
    """Half the 95% interval of the mean of a sample, by Student's t.

    Infinite for a single value, of which nothing is known.
    """
    if len(sample) < 2:
        return float("inf")
    factor = stats.t.ppf(0.975, len(sample) - 1)
    return float(factor) * standard_error(sample)


def compare(
    name: str,
    task: Task,
    optimizer: keras.optimizers.Optimizer,
    num_steps: int,
    seeds: int,
    rates: Sequence[float] = LEARNING_RATES,
) -> Comparison:
    """Trains `seeds` problems with the optimizer, and with Adam on a grid.

    The learned optimizer is not tuned: it has one run per problem.

    Args:
        name: Name of the benchmark, for reports.
        task: A `tasks.Task`.
        optimizer: A `LearnedOptimizer`.
        num_steps: Number of steps per run.
        seeds: Number of problems, at least 1.
        rates: Adam's learning rates.

    Returns:
        A `Comparison`.
    """
    adam = train_adam(task, num_steps, seeds, rates)
    ours = train(task, optimizer, num_steps, seeds)
    return Comparison(name, num_steps, ours, adam)


def train(task, optimizer, num_steps, seeds):
    """List of the optimizer's `Curve`s on problems 0, 1, ..."""
    trainee = Trainee(task, optimizer, num_steps)
    return [trainee.train(number) for number in range(seeds)]


def train_adam(task, num_steps, seeds, rates=LEARNING_RATES):
    """Dict from a learning rate to Adam's `Curve`s on problems 0, 1, ..."""
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
        adam: From `train_adam`.
        metric: One of `METRICS`.

    Raises:
        ValueError: The metric is not finite with any learning rate.
    """
    means = {
        rate: np.mean(values(curves, metric)) for rate, curves in adam.items()
    }
    finite = {r: m for r, m in means.items() if np.isfinite(m)}
    if not finite:
        raise ValueError(
            "`rates` must have a learning rate with which Adam's "
            f"`{metric}` is finite. Received: rates={tuple(means)}; try lower "
            "ones"
        )
    return min(finite, key=finite.get)

"""Mixtures: weighted tasks on which one population trains.

A rule that was trained on one task is hardly better at others, such as training
rules. arXiv 2101.07367 trains on "a large diversity of problem types".
"""

import collections
import functools
import itertools
import math
import warnings
from collections.abc import Sequence

import numpy as np

from keras_lopt.checks import check_choice, check_integer, check_numbers
from keras_lopt.tasks import registry
from keras_lopt.tasks.cost import task_cost
from keras_lopt.tasks.task import Task

#: Number of samples of a family to try before giving up.
_MOST_SAMPLES = 100
#: Largest ratio of the losses of guessing of tasks on one scale.
_LARGEST_RATIO = 1.5


class Mixture:
    """Weighted tasks, one or more; every outer step uses one of them.

    Scores are averages over tasks, so losses should be on one scale. Those of
    families are: 1.0 is the loss of guessing or at the start. A classification
    `Task` without a normalizer has its loss in nats.

    Args:
        tasks: One or more `Task`s with different names.
        weights: One positive number per task: its share of the time and of the
            score. Default: all are equal.
        shares_of: "time", or "steps": weights are shares of the outer steps
            instead. Large tasks cost many times as much as small ones, and
            with equal shares of the time are hardly ever trained on.

    Attributes:
        weights: [t], with sum 1.

    >>> from keras_lopt import tasks
    >>> mixture = tasks.Mixture(
    ...     [tasks.get("quadratic", size=4), tasks.get("mlp", hidden=(8,))],
    ...     weights=(1.0, 3.0),
    ... )
    >>> mixture.name, mixture.weights.tolist()
    ('mixture of 2 tasks', [0.25, 0.75])
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        weights: Sequence[float] | None = None,
        shares_of: str = "time",
    ):
        _check_tasks(tasks)
        check_choice("shares_of", shares_of, ("time", "steps"))
        if weights is None:
            weights = (1.0,) * len(tasks)
        check_numbers("weights", weights, "(0, inf)", count=len(tasks))
        _warn_of_scales(tasks)
        self.tasks = tuple(tasks)
        self.shares_of = shares_of
        self.weights = np.array(weights) / np.sum(weights)

    @classmethod
    def of(cls, task: "Task | Mixture") -> "Mixture":
        """`task` if it is a mixture, else the mixture of this task alone."""
        if isinstance(task, Mixture):
            return task
        if not isinstance(task, Task):
            raise ValueError(
                "`task` must be a `tasks.Task` or a `tasks.Mixture`. "
                f"Received: task={task!r}"
            )
        return cls([task])

    @property
    def name(self):
        """The name for reports."""
        if len(self.tasks) == 1:
            return self.tasks[0].name
        return f"mixture of {len(self.tasks)} tasks"

    @functools.cached_property
    def shares(self):
        """[t] probabilities of the tasks in an outer step.

        If weights are shares of the *time*, they are proportional to weight /
        cost. Costs are counted: with measured ones, two runs with the same
        seed would differ.
        """
        if len(self.tasks) == 1:
            return np.ones(1)
        if self.shares_of == "steps":
            return self.weights
        costs = np.array([task_cost(task).step for task in self.tasks])
        return self.weights / costs / np.sum(self.weights / costs)

    def draw(self, seed, number):
        """Index of the task for outer step `number`, for an integer seed."""
        drawn = np.random.default_rng((seed, number, 1)).random()
        below = np.cumsum(self.shares) <= drawn
        return min(int(np.sum(below)), len(self.tasks) - 1)

    def draw_several(self, seed, number, count):
        """Indices of `count` different tasks for outer step `number`."""
        if count == 1:
            return (self.draw(seed, number),)
        rng = np.random.default_rng((seed, number, 1))
        drawn = rng.choice(len(self.tasks), count, False, self.shares)
        return tuple(map(int, drawn))

    def describe(self):
        """Everything that identifies this mixture, as JSON types."""
        if len(self.tasks) == 1:
            return self.tasks[0].describe()
        described = {
            "tasks": [task.describe() for task in self.tasks],
            "weights": self.weights.tolist(),
        }
        if self.shares_of != "time":  # Older runs do not say it.
            described["shares_of"] = self.shares_of
        return described


def _check_tasks(tasks):
    is_sequence = isinstance(tasks, (tuple, list)) and len(tasks) > 0
    if not is_sequence or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(
            "`tasks` must be a list of one or more `tasks.Task`s. "
            f"Received: tasks={tasks!r}"
        )
    counts = collections.Counter(task.name for task in tasks)
    several = sorted(name for name, count in counts.items() if count > 1)
    if several:
        raise ValueError(
            "`tasks` must have different names, because columns of the history "
            f"are named after them. Received more than once: {several}"
        )


def _warn_of_scales(tasks):
    """Warns if the loss of guessing is not about the same for all tasks."""
    guessing = {}
    for task in tasks:
        scale, classes = task.normalizer, task.dataset.num_classes
        if classes is not None:  # 1 for others with a scale of their own.
            loss = (math.log(max(2, classes)) - scale.floor) / scale.unit
            guessing[task.name] = loss
        elif scale.unit != 1.0:
            guessing[task.name] = 1.0
    if not guessing:
        return
    low, high = (f(guessing, key=guessing.get) for f in (min, max))
    if guessing[high] > _LARGEST_RATIO * guessing[low]:
        warnings.warn(
            "`tasks` should have losses on one scale, because scores are means "
            "over tasks. Received: guessing has a loss of "
            f"{guessing[high]:.2f} on {high!r} and of {guessing[low]:.2f} on "
            f"{low!r}, which counts less; pass `normalizer`s, or use the "
            "families, where guessing has a loss of 1",
            stacklevel=3,
        )


def listed_mixture(
    configs: Sequence[tuple[str, dict]],
    weights: Sequence[float] | None = None,
    shares_of: str = "time",
) -> Mixture:
    """A `Mixture` of tasks by their names and arguments.

    Args:
        configs: A list of (name, dict of arguments) as for `tasks.get`. Equal
            pairs become one task, compiled once, with the sum of their
            weights.
        weights, shares_of: As for `Mixture`.

    >>> from keras_lopt import tasks
    >>> mixture = tasks.listed_mixture(
    ...     [("quadratic", {"size": 4}), ("mlp", {"hidden": (8,)})]
    ... )
    >>> tuple(task.num_params for task in mixture.tasks)
    (4, 610)
    """
    if not isinstance(configs, (tuple, list)) or not all(
        isinstance(config, (tuple, list))
        and tuple(map(type, config)) == (str, dict)
        for config in configs
    ):
        raise ValueError(
            "`configs` must be a list of pairs of a task's name and a dict of "
            f"its arguments. Received: configs={configs!r}"
        )
    if weights is not None and configs:
        check_numbers("weights", weights, "(0, inf)", count=len(configs))
    total = {}
    for config, weight in zip(configs, weights or itertools.repeat(1.0)):
        key = repr((config[0], sorted(config[1].items())))
        total[key] = config, total.get(key, (None, 0.0))[1] + weight
    tasks = [registry.get(name, **kw) for (name, kw), _ in total.values()]
    return Mixture(tasks, [weight for _, weight in total.values()], shares_of)


def sample_mixture(
    families: Sequence[str] | None = None,
    shapes: int = 1,
    seed: int = 0,
    max_cost: int | None = None,
) -> Mixture:
    """A `Mixture` of samples of families, all with the same weight.

    Args:
        families: Names of families; default: all.
        shapes: Number of different tasks per family; each one is compiled.
        seed: Integer.
        max_cost: Largest cost of an inner step, in operations as counted by
            `Cost.step`. Samples that cost more are replaced by other samples.
            None: no limit.
    """
    check_integer("shapes", shapes, 1)
    check_integer("seed", seed, 0)
    if max_cost is not None:
        check_integer("max_cost", max_cost, 1)
    if families is None:
        families = registry.families()
    if not isinstance(families, (tuple, list)):
        raise ValueError(
            "`families` must be a list of names. "
            f"Received: families={families!r}"
        )
    return Mixture(
        [
            task
            for name in families
            for task in _samples(registry.family(name), shapes, seed, max_cost)
        ]
    )


def _samples(family, shapes, seed, max_cost):
    """`shapes` tasks of a family with different names."""
    found = {}
    first = seed * _MOST_SAMPLES
    for number in range(first, first + _MOST_SAMPLES):
        task = family.sample(number)
        if max_cost is None or task_cost(task).step <= max_cost:
            found.setdefault(task.name, task)
        if len(found) == shapes:
            return list(found.values())
    raise ValueError(
        f"`max_cost` must let {shapes} of {_MOST_SAMPLES} samples of "
        f"{family.name!r} through. Received: max_cost={max_cost}; only "
        f"{len(found)} are within it"
    )

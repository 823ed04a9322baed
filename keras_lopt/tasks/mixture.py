"""Mixtures: weighted tasks that one population trains on.

What is trained on one task is hardly better at others, training rules among
them: arXiv 2101.07367 trains on "a large diversity of problem types".
"""

import collections
import functools
import itertools

import numpy as np

from keras_lopt.checks import check_integer, check_numbers
from keras_lopt.tasks import registry
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.cost import task_cost

#: Samples of a family that are looked at before it is given up on.
_MOST_SAMPLES = 100


class Mixture:
    """Weighted tasks; every outer step uses one. A task alone is one of one.

    Scores are averaged over tasks, so losses should be on one scale. Those of
    families are, 1.0 being chance or the start; a `Task` of classes that was
    given no normalizer is in nats.

    Args:
        tasks: One or more `Task`s with names of their own.
        weights: A positive number a task: its share of the time and of the
            score. Default: all alike.

    Attributes:
        weights: [t], their sum is 1.

    >>> from keras_lopt import tasks
    >>> mixture = tasks.Mixture(
    ...     [tasks.get("quadratic", size=4), tasks.get("mlp", hidden=(8,))],
    ...     weights=(1.0, 3.0),
    ... )
    >>> mixture.name, mixture.weights.tolist()
    ('mixture of 2 tasks', [0.25, 0.75])
    """

    def __init__(self, tasks, weights=None):
        _check_tasks(tasks)
        if weights is None:
            weights = (1.0,) * len(tasks)
        check_numbers("weights", weights, "(0, inf)", count=len(tasks))
        self.tasks = tuple(tasks)
        self.weights = np.array(weights) / np.sum(weights)

    @classmethod
    def of(cls, task):
        """The mixture that `task` is, or is alone in."""
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
        """For reports."""
        if len(self.tasks) == 1:
            return self.tasks[0].name
        return f"mixture of {len(self.tasks)} tasks"

    @functools.cached_property
    def shares(self):
        """[t] probabilities with which an outer step uses each task.

        In proportion to weight / cost, so that it is the *time* that weights
        share out. Costs are counted: measured ones would make other runs of
        the same seed.
        """
        if len(self.tasks) == 1:
            return np.ones(1)
        costs = np.array([task_cost(task).step for task in self.tasks])
        return self.weights / costs / np.sum(self.weights / costs)

    def draw(self, seed, number, count=1):
        """The tasks of outer step `number`, for an integer seed.

        Returns:
            A tuple of the indices of `count` different tasks.
        """
        rng = np.random.default_rng((seed, number, 1))
        if count > 1:
            places = rng.choice(
                len(self.tasks), count, replace=False, p=self.shares
            )
            return tuple(map(int, places))
        below = np.cumsum(self.shares) <= rng.random()
        return (min(int(np.sum(below)), len(self.tasks) - 1),)

    def describe(self):
        """What makes this mixture this mixture, as JSON types."""
        if len(self.tasks) == 1:
            return self.tasks[0].describe()
        return {
            "tasks": [task.describe() for task in self.tasks],
            "weights": self.weights.tolist(),
        }


def _check_tasks(tasks):
    is_sequence = isinstance(tasks, (tuple, list)) and len(tasks) > 0
    if not is_sequence or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(
            "`tasks` must be one or more `tasks.Task`s, as a list. "
            f"Received: tasks={tasks!r}"
        )
    counts = collections.Counter(task.name for task in tasks)
    several = sorted(name for name, count in counts.items() if count > 1)
    if several:
        raise ValueError(
            "`tasks` must have names of their own, which the history's columns "
            f"have too. Received more than once: {several}"
        )


def listed_mixture(configs, weights=None):
    """A `Mixture` of configured tasks of families.

    Args:
        configs: A list of (name, dict of arguments) as for `tasks.get`. Equal
            ones are one task, compiled once, of their weights together.
        weights: As for `Mixture`.

    >>> from keras_lopt import tasks
    >>> mixture = tasks.listed_mixture(
    ...     [("quadratic", {"size": 4}), ("mlp", {"hidden": (8,)})]
    ... )
    >>> [task.num_params for task in mixture.tasks]
    [4, 610]
    """
    if not isinstance(configs, (tuple, list)) or not all(
        isinstance(config, (tuple, list))
        and tuple(map(type, config)) == (str, dict)
        for config in configs
    ):
        raise ValueError(
            "`configs` must be a list of pairs of a family's name and a dict "
            f"of its arguments. Received: configs={configs!r}"
        )
    if weights is not None and configs:
        check_numbers("weights", weights, "(0, inf)", count=len(configs))
    total = {}
    for config, weight in zip(configs, weights or itertools.repeat(1.0)):
        key = repr((config[0], sorted(config[1].items())))
        total[key] = config, total.get(key, (None, 0.0))[1] + weight
    tasks = [registry.get(name, **kw) for (name, kw), _ in total.values()]
    return Mixture(tasks, [weight for _, weight in total.values()])


def sample_mixture(families=None, shapes=1, seed=0, max_cost=None):
    """A `Mixture` of samples of families, each of the same weight.

    Args:
        families: Names; default: all families.
        shapes: Different tasks a family: each is compiled.
        seed: Integer.
        max_cost: The most that an inner step may cost, in operations as
            `Cost.step` counts them; others are drawn in place of what costs
            more. None: whatever is drawn.
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
    """`shapes` tasks of a family with names of their own."""
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
        f"{family.name!r} through. Received: max_cost={max_cost}, which "
        f"{len(found)} keep to"
    )

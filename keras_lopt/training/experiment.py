"""An experiment: all that is settled before training begins."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lopt import checkpoints
from keras_lopt.checks import check_choice, check_integer
from keras_lopt.estimators import Estimator
from keras_lopt.population import (
    Elitist,
    FixedTeacher,
    League,
    LogNormal,
    Mutation,
    Selection,
    Teachers,
)
from keras_lopt.rules import Rule, ThetaVector
from keras_lopt.tasks import Mixture, Task
from keras_lopt.training.schedule import Schedule

#: Members are scored on data that no gradient ever sees.
SCORING_SPLIT = "inner_valid"
#: Of the models that are trained.
DTYPE_POLICIES = ("float32", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Experiment:
    """What a population is, what it trains on, and how.

    Args:
        rule: The members' `rules.Rule`.
        task: A `tasks.Task`, a `tasks.Mixture` of several, or a function
            without arguments that builds one.
        estimator: An `estimators.Estimator`.
        schedule: A `Schedule`.
        teachers: A `population.Teachers`: who teaches whom.
        selection: A `population.Selection`.
        mutation: A `population.Mutation` of the update multipliers.
        start: Optimizer files of the same rule, as for `checkpoints.load`,
            whose thetas take the places of the first random ones: to go on
            with other settings.
        frozen: Names of leaves of theta that stay as they begin, such as those
            of the direction while the step sizes are trained.
        dtype_policy: "float32", or "mixed_bfloat16": the models that are
            trained compute in bfloat16, which accelerators are faster in.
            Their parameters, losses and the rule stay float32. `task` must
            then be a function, as it is in gin.
        seed: Integer. The same seed gives the same history, bit for bit, on
            one machine and the same number of replicas.

    Raises:
        ValueError: An argument of another type, a population that can't be
            selected from, or data without the splits that training needs.
    """

    rule: Rule
    task: Task | Mixture | Callable[[], Task | Mixture]
    estimator: Estimator
    schedule: Schedule = Schedule()
    teachers: Teachers = League()
    selection: Selection = Elitist()
    mutation: Mutation = LogNormal()
    start: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    dtype_policy: str = "float32"
    seed: int = 0

    def __post_init__(self):
        check_integer("seed", self.seed, 0, 2**31 - 1)
        check_choice("dtype_policy", self.dtype_policy, DTYPE_POLICIES)
        if self.dtype_policy != "float32" and not callable(self.task):
            raise ValueError(
                "`task` must be a function that builds the task, so that its "
                f"models have the `dtype_policy`. Received: task={self.task!r},"
                f" dtype_policy={self.dtype_policy!r}"
            )
        for name, kind in _TYPES.items():
            if not isinstance(value := getattr(self, name), kind):
                raise ValueError(
                    f"`{name}` must be a {kind.__name__}. Received: {name}="
                    f"{value!r}; in gin, write `@module.Name()`, not a string"
                )
        self.selection.check(self.schedule.population)
        for task in self.mixture.tasks:
            self._check_splits(task.dataset)
        self.estimator.check_rule(self.rule)
        self._check_start()
        self._check_frozen()
        self._check_schedule()

    def _check_schedule(self):
        count, most = self.schedule.tasks_per_step, len(self.mixture.tasks)
        if count > most:
            raise ValueError(
                f"`tasks_per_step` must be <= {most}, the number of tasks. "
                f"Received: tasks_per_step={count}"
            )
        steps = self.estimator.steps_per_estimate
        hidden = self.schedule.hidden_score_horizons
        for name, horizons in {
            "score_horizons": self.score_horizons,
            "hidden_score_horizons": hidden,
        }.items():
            if any(horizon % steps for horizon in horizons):
                raise ValueError(
                    f"`{name}` must be multiples of {steps}, the steps of an "
                    f"estimate. Received: {name}={horizons}"
                )
        if hidden and "horizon" not in self.rule.optional_signals:
            raise ValueError(
                "`hidden_score_horizons` must be () for a rule that ignores "
                "horizons or can't do without. Received: "
                f"hidden_score_horizons={hidden}, rule {self.rule.name!r}"
            )

    def _check_start(self):
        most = self.schedule.population
        if len(self.start) > most:
            raise ValueError(
                f"`start` must be at most {most} files, one per member. "
                f"Received: {len(self.start)} files"
            )
        for (rule, *_), file in zip(self._started, self.start):
            # Other settings, such as decays, may be tried on a trained theta.
            is_alike = type(rule) is type(self.rule)
            if not is_alike or rule.theta_shapes() != self.rule.theta_shapes():
                raise ValueError(
                    "`start` must be files of the experiment's rule and sizes, "
                    f"{self.rule}. Received: {file!r}, of {rule}"
                )

    def _check_frozen(self):
        leaves = list(self.rule.theta_shapes())
        is_sequence = isinstance(self.frozen, (tuple, list))
        if not is_sequence or not set(self.frozen) < set(leaves):
            raise ValueError(
                f"`frozen` must be some of the leaves of theta, {leaves}, but "
                f"not all of them. Received: frozen={self.frozen!r}"
            )

    @functools.cached_property
    def is_trained(self):
        """[d] float32 array: 0 for what is frozen, 1 for all else."""
        return self.theta_vector.pack(
            {
                leaf: np.full(shape, leaf not in self.frozen)
                for leaf, shape in self.rule.theta_shapes().items()
            }
        )

    @functools.cached_property
    def _started(self):
        return [checkpoints.load(file) for file in self.start]

    def initial_theta(self, number):
        """Theta number `number` of the first candidates, a dict of arrays."""
        if number < len(self.start):
            return self._started[number][1]
        return self.rule.init_theta((self.seed, number))

    def _check_splits(self, dataset):
        splits, outer_split = list(dataset.splits), self.estimator.outer_split
        if not {"train", SCORING_SPLIT, outer_split} <= set(splits):
            raise ValueError(
                f"`splits` of dataset {dataset.name!r} must have 'train', "
                f"{SCORING_SPLIT!r} (for scores) and `outer_split`, "
                f"{outer_split!r}. Received: {splits}"
            )

    @functools.cached_property
    def mixture(self):
        """The `tasks.Mixture`; a single task makes one, too."""
        task = self.task
        if callable(task):
            with _global_dtype_policy(self.dtype_policy):
                task = task()
        if not isinstance(task, (Task, Mixture)):
            raise ValueError(
                "`task` must be a `tasks.Task`, a `tasks.Mixture`, or a "
                "function without arguments that returns one. Received: "
                f"task={self.task!r}, which is or returns {task!r}"
            )
        return Mixture.of(task)

    @functools.cached_property
    def teacher_rule(self):
        """The rule by which teachers update members."""
        return self.teachers.rule(self.rule)

    @functools.cached_property
    def theta_vector(self):
        """`rules.ThetaVector` of the members' rule."""
        return ThetaVector(self.rule)

    def theta_tensors(self, vector):
        """A theta [d] as the tensors that a teacher sees."""
        if self.teachers.as_one:
            return [ops.reshape(vector, (-1, 1))]
        return list(self.theta_vector.unpack(vector).values())

    @property
    def score_horizons(self):
        """Inner steps of the runs that a score is the mean over."""
        if self.schedule.score_horizons is None:
            return (self.estimator.horizons.longest,)
        return self.schedule.score_horizons

    @property
    def score_runs(self):
        """Of each run of a score: its steps, and the horizon told, or 0."""
        told = [(steps, steps) for steps in self.score_horizons]
        hidden = self.schedule.hidden_score_horizons
        return [*told, *((steps, 0) for steps in hidden)]

    @property
    def inner_steps_per_outer_step(self):
        """Inner steps of one outer step, over all members and replicas."""
        pairs = self.schedule.population * self.estimator.pairs
        runs = 2 * pairs * self.schedule.tasks_per_step
        return runs * self.estimator.steps_per_estimate

    @property
    def bytes_per_outer_step(self):
        """Of meta-gradients and losses, which replicas average."""
        numbers = self.schedule.population * (self.theta_vector.size + 1)
        return 4 * numbers * self.schedule.tasks_per_step

    @property
    def inner_steps_per_scoring(self):
        """Inner steps of one scoring, over all tasks, members and replicas."""
        problems = self.schedule.population * self.schedule.score_problems
        runs = problems * len(self.mixture.tasks)
        return runs * sum(steps for steps, _ in self.score_runs)

    def describe(self, defaults=True):
        """All that identifies this experiment, as JSON types.

        Args:
            defaults: Whether to name settings that have their default value.
        """
        described = {
            "rule": _describe(self.rule, defaults),
            "task": self.mixture.describe(),
            **{
                name: _describe(getattr(self, name), defaults)
                for name in _SETTINGS
            },
        }
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _YOUNGER and (defaults or value != field.default):
                described[field.name] = _describe(value)
        return described

    def differences(self, description):
        """Names of the parts in which the description of a run differs.

        A setting that is missing there is one that did not exist yet: now it
        must have its default value.
        """
        found = description if isinstance(description, dict) else {}
        full, least = self.describe(), self.describe(defaults=False)
        return [
            name
            for name in full
            if (name in found or name in least)
            and _differs(found.get(name), full[name], least.get(name, {}))
        ]


_TYPES = {
    "rule": Rule,
    "estimator": Estimator,
    "schedule": Schedule,
    "teachers": Teachers,
    "selection": Selection,
    "mutation": Mutation,
}
_SETTINGS = [
    "estimator",
    "schedule",
    "teachers",
    "selection",
    "mutation",
    "seed",
]


@contextlib.contextmanager
def _global_dtype_policy(name):
    """Context in which Keras builds models with a dtype policy."""
    before = keras.config.dtype_policy()
    if name != "float32":
        keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


#: Settings that older runs do not have.
_YOUNGER = ["start", "frozen", "dtype_policy"]


def _describe(value, defaults=True):
    if dataclasses.is_dataclass(value):
        settings = {
            field.name: _describe(getattr(value, field.name), defaults)
            for field in dataclasses.fields(value)
            if defaults or getattr(value, field.name) != field.default
        }
        return {"type": type(value).__name__, **settings}
    if isinstance(value, dict):
        return {key: _describe(item, defaults) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_describe(item, defaults) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _differs(found, full, least):
    """Whether a description differs from one with all, or few, settings."""
    if not isinstance(found, dict) or not isinstance(full, dict):
        return found != json.loads(json.dumps(full))
    missing = full.keys() - found.keys()
    return bool(
        found.keys() - full.keys()
        or missing & least.keys()
        or any(_differs(v, full[k], least.get(k, {})) for k, v in found.items())
    )


def trained_teacher(source: str, **settings: Any) -> FixedTeacher:
    """A teacher that was trained before, from an optimizer file.

    Args:
        source: As for `checkpoints.load`.
        **settings: Other arguments of `population.FixedTeacher`.

    >>> from keras_lopt import training
    >>> training.trained_teacher("fused_digits").teacher.name
    'fused'
    """
    rule, theta, _ = checkpoints.load(source)
    return FixedTeacher(teacher=rule, theta=theta, **settings)

"""Who teaches whom: whose rule applies each member's meta-gradient."""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_lopt.checks import check_flag, check_number
from keras_lopt.rules import AntisymmetricRule, Rule, ThetaVector


class DrawnTeachers(NamedTuple):
    """A generation's teachers, one for each of p members."""

    thetas: np.ndarray  # [p, d']
    ids: np.ndarray  # [p], -1 for a teacher that was never a member
    #: [p], what children's update multipliers are mutated from; NaN where that
    #: is their parents'.
    multipliers: np.ndarray

    @classmethod
    def with_parents_multipliers(cls, thetas, ids):
        """Teachers of children whose multipliers come from their parents."""
        return cls(thetas, ids, np.full(len(ids), np.nan))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teachers:
    """How members get their teachers.

    What is to be remembered from one generation to the next is `memory`, a
    dict of arrays whose shapes stay the same.

    With fresh slots a teacher acts as at the start of a run, and takes large
    steps. With those of the last generation it acts as later in a run, perhaps
    past the horizon that it was trained on. Either can be what a member needs:
    chance proposes, selection decides.

    Args:
        fresh: Probability that a child begins a generation with fresh slots;
            otherwise it keeps its parent's.
        antisymmetric: Whether teachers apply the antisymmetric part of their
            rule, or all of it. A rule that trains models well may still be
            mostly drift, and useless, where gradients are as noisy as
            meta-gradients are.
        as_one: Whether a teacher sees a theta as one matrix [d, 1], so that
            all of it moves alike. A rule that was trained on models takes
            other steps for biases than for matrices, and those of theta are
            not a model's.
        relative: Whether a multiplier says how long a teacher's first step is,
            in units of the norm of theta. Steps for a new model are 3 to 10%
            of its weights, those for a theta that has been trained should be
            about 1%, and rules differ: with this, one multiplier fits all.
    """

    fresh: float = 0.6
    antisymmetric: bool = True
    as_one: bool = False
    relative: bool = False

    def __post_init__(self):
        check_number("fresh", self.fresh, "[0, 1]")
        check_flag("antisymmetric", self.antisymmetric)
        check_flag("as_one", self.as_one)
        check_flag("relative", self.relative)

    def rule(self, member_rule):
        """The teachers' rule, for members of `member_rule`."""
        if self.antisymmetric:
            return AntisymmetricRule(member_rule)
        return member_rule

    def begin(self, drawn, chosen):
        """The memory when training begins.

        Args:
            drawn: `Members` of a random population.
            chosen: The `Members` that begin, the best of all candidates.
        """
        del drawn, chosen
        return {}

    def draw(self, members, memory, rng):
        """This generation's `DrawnTeachers`.

        Args:
            members: The `Members`.
            memory: From `begin` or the last `learn`.
            rng: A `numpy.random.Generator`.
        """
        raise NotImplementedError

    def learn(self, memory, teachers, children, gains, members):
        """The memory after a generation.

        Args:
            memory: Before it.
            teachers: Its `DrawnTeachers`.
            children: The `Members` that these have taught.
            gains: [p], by how much each child scores better than its parent;
                -inf for those that were not accepted.
            members: The `Members` after selection.
        """
        del teachers, children, gains, members
        return memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfTraining(Teachers):
    """Random ones of the best members teach; the best teaches itself.

    Args:
        fraction: Part of the population that teaches; at least one member.
    """

    fraction: float = 0.25

    def __post_init__(self):
        super().__post_init__()
        check_number("fraction", self.fraction, "(0, 1]")

    def draw(self, members, memory, rng):
        del memory
        order = np.argsort(members.scores, kind="stable")
        best = order[: max(1, int(len(order) * self.fraction))]
        drawn = rng.choice(best, size=len(order))
        drawn[order[0]] = order[0]
        return DrawnTeachers.with_parents_multipliers(
            members.averages[drawn], members.ids[drawn]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrozenTeachers(Teachers):
    """Random thetas that never change teach.

    The control that shows what selection does without feedback.

    Args:
        chosen: False: the teachers are a random population. True: they are the
            first members. Those were chosen from all candidates by how they
            train a model, so that the teachers have been selected, too.
    """

    chosen: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_flag("chosen", self.chosen)

    def begin(self, drawn, chosen):
        frozen = chosen if self.chosen else drawn
        return {"thetas": frozen.averages, "ids": frozen.ids}

    def draw(self, members, memory, rng):
        count = len(members.ids)
        drawn = rng.integers(count, size=count)
        return DrawnTeachers.with_parents_multipliers(
            memory["thetas"][drawn], memory["ids"][drawn]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedTeacher(Teachers):
    """One rule that is not of the population teaches everyone.

    For controls: Adam as outer optimizer, or an optimizer trained before.

    Args:
        teacher: The `rules.Rule` that teaches.
        theta: Its theta, a dict; default: `teacher.init_theta(0)`, for rules
            whose theta is not random.
        fresh: As for `Teachers`; the teacher never changes, so it keeps slots.
        antisymmetric: As for `Teachers`; Adam and SGD are it already.
    """

    teacher: Rule
    theta: dict | None = None
    fresh: float = 0.0
    antisymmetric: bool = False

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.teacher, Rule):
            raise ValueError(
                "`teacher` must be a `rules.Rule`, as `rules.get(name)` "
                f"builds it. Received: teacher={self.teacher!r}"
            )
        if self.theta is not None:
            self.teacher.check_theta(self.theta)

    def rule(self, member_rule):
        del member_rule
        return super().rule(self.teacher)

    def draw(self, members, memory, rng):
        del memory, rng
        theta = self.teacher.init_theta(0) if self.theta is None else self.theta
        packed = ThetaVector(self.teacher).pack(theta)
        count = len(members.ids)
        return DrawnTeachers.with_parents_multipliers(
            np.tile(packed, (count, 1)), np.full(count, -1)
        )

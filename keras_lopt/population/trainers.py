"""Who trains whom: whose rule applies each member's meta-gradient."""

import dataclasses

import numpy as np

from keras_lopt.checks import check_flag, check_number
from keras_lopt.rules import AntisymmetricRule, Rule, ThetaVector


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainers:
    """A choice of trainers.

    A trainer with fresh slots acts as at the start of a run, with the large
    steps of one; with those of the last generation, as later in a run. Either
    can be what a member needs: chance proposes, selection decides.

    Args:
        fresh: Probability that a child begins a generation with fresh slots;
            otherwise it goes on with what its parent's trainer remembered.
        antisymmetric: Whether trainers apply the antisymmetric part of their
            rule, or all of it. A rule that trains models well may still be
            mostly drift, and useless, where gradients are as noisy as
            meta-gradients are.
    """

    fresh: float = 0.2
    antisymmetric: bool = True

    def __post_init__(self):
        check_number("fresh", self.fresh, "[0, 1]")
        check_flag("antisymmetric", self.antisymmetric)

    def rule(self, member_rule):
        """The trainers' rule, for members of `member_rule`."""
        if self.antisymmetric:
            return AntisymmetricRule(member_rule)
        return member_rule

    def initial_thetas(self, drawn, chosen):
        """What `draw` is to know of the start, of two arrays [p, d].

        Args:
            drawn: Random thetas that nothing has selected.
            chosen: The best of all candidates, that the members begin as.
        """
        del drawn
        return chosen

    def draw(self, thetas, scores, initial_thetas, rng):
        """This generation's trainers.

        Args:
            thetas: [p, d] the members'.
            scores: [p] their scores.
            initial_thetas: [p, d], what the method of this name returned when
                training began.
            rng: A `numpy.random.Generator`.

        Returns:
            Theta of each member's trainer, [p, d'], and the trainers' places
            in the population, [p] (-1: not of the population).
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfTraining(Trainers):
    """Members are trained by random ones of the best; the best by itself.

    Args:
        fraction: Of the population that trains, at least one member.
    """

    fraction: float = 0.25

    def __post_init__(self):
        super().__post_init__()
        check_number("fraction", self.fraction, "(0, 1]")

    def draw(self, thetas, scores, initial_thetas, rng):
        del initial_thetas
        order = np.argsort(scores, kind="stable")
        best = order[: max(1, int(len(order) * self.fraction))]
        drawn = rng.choice(best, size=len(order))
        drawn[order[0]] = order[0]
        return thetas[drawn], drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrozenTrainers(Trainers):
    """Members are trained by random thetas that never change.

    The control that shows what selection does without feedback.

    Args:
        chosen: False: thetas as drawn. True: those of the candidates that the
            members begin as: the choice among candidates has then selected
            trainers too, since they had to be able to train a model.
    """

    chosen: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_flag("chosen", self.chosen)

    def initial_thetas(self, drawn, chosen):
        return chosen if self.chosen else drawn

    def draw(self, thetas, scores, initial_thetas, rng):
        del scores
        drawn = rng.integers(len(thetas), size=len(thetas))
        return initial_thetas[drawn], np.full(len(thetas), -1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedTrainer(Trainers):
    """Everyone is trained by one rule that is not of the population.

    For controls: Adam as outer optimizer, or an optimizer trained before.

    Args:
        trainer: The `rules.Rule` that trains.
        theta: Its theta, a dict; default: `trainer.init_theta(0)`, for rules
            whose theta is not random.
        fresh: As for `Trainers`; the trainer never changes, so it goes on.
        antisymmetric: As for `Trainers`. Adam and SGD are so already.
    """

    trainer: Rule
    theta: dict | None = None
    fresh: float = 0.0
    antisymmetric: bool = False

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.trainer, Rule):
            raise ValueError(
                "`trainer` must be a `rules.Rule`, as `rules.get(name)` "
                f"builds it. Received: trainer={self.trainer!r}"
            )
        if self.theta is not None:
            self.trainer.check_theta(self.theta)

    def rule(self, member_rule):
        del member_rule
        return super().rule(self.trainer)

    def draw(self, thetas, scores, initial_thetas, rng):
        del scores, initial_thetas, rng
        theta = self.trainer.init_theta(0) if self.theta is None else self.theta
        packed = ThetaVector(self.trainer).pack(theta)
        count = len(thetas)
        return np.tile(packed, (count, 1)), np.full(count, -1)

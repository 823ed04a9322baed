"""Mutation of a member's update multiplier, a positive scalar."""

import dataclasses

import numpy as np

from keras_lopt.checks import check_number, check_numbers


@dataclasses.dataclass(frozen=True)
class Mutation:
    """How children's multipliers follow from those that they begin with.

    They begin with their parents', or with those that `DrawnTeachers` has.
    """

    @property
    def first(self):
        """The multiplier that members begin with."""
        return 1.0

    def mutate(self, values, rng):
        """[p] new values from [p] values."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class NoMutation(Mutation):
    """Children keep the multiplier that they begin with."""

    def mutate(self, values, rng):
        del rng
        return values


@dataclasses.dataclass(frozen=True)
class LogNormal(Mutation):
    """value * 2^(spread * N(0, 1)), clipped to [low, high].

    Args:
        spread: Standard deviation, in powers of two.
        low: Floor. Greedy selection shrinks every multiplier to it, so it must
            not be negligible.
        high: Ceiling.
        start: What members begin with.
    """

    spread: float = 1.0
    low: float = 0.1
    high: float = 8.0
    start: float = 1.0

    def __post_init__(self):
        check_number("spread", self.spread, "[0, inf)")
        for field in ("low", "high", "start"):
            check_number(field, getattr(self, field), "(0, inf)")
        if self.low > self.high:
            raise ValueError(
                "`low` must be <= `high`. "
                f"Received: low={self.low}, high={self.high}"
            )

    @property
    def first(self):
        return self.start

    def mutate(self, values, rng):
        factors = 2.0 ** (self.spread * rng.standard_normal(len(values)))
        return np.clip(values * factors, self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Perturb(Mutation):
    """value * 0.8 or * 1.2, as in published population based training.

    Args:
        factors: Each value is multiplied by one of these, at random.
    """

    factors: tuple[float, ...] = (0.8, 1.2)

    def __post_init__(self):
        check_numbers("factors", self.factors, "(0, inf)")

    def mutate(self, values, rng):
        return values * rng.choice(self.factors, size=len(values))


@dataclasses.dataclass(frozen=True)
class Grid(Mutation):
    """Member i always has the value values[i % len(values)].

    With no selection, a grid of learning rates in one population.

    Args:
        values: One or more positive numbers.
    """

    values: tuple[float, ...]

    def __post_init__(self):
        check_numbers("values", self.values, "(0, inf)")

    def mutate(self, values, rng):
        del rng
        return np.resize(np.asarray(self.values, float), len(values))

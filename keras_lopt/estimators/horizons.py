"""How long problems are: a horizon for each, drawn when it begins.

A rule that is trained at one horizon falls apart past it. Celo (arXiv
2501.12670) draws horizons log-uniformly from 100 to 2,000 steps; 2009.11243
lets them grow with the outer steps.
"""

import dataclasses
import math

import tensorflow as tf

from keras_lopt.checks import check_choice, check_integer


@dataclasses.dataclass(frozen=True)
class Horizon:
    """A distribution of horizons, in inner steps."""

    @property
    def longest(self):
        """The longest horizon there is."""
        raise NotImplementedError

    @property
    def varies(self):
        """Whether problems have different horizons."""
        return True

    def lengths(self):
        """Dict of the settings that must be multiples of the truncation."""
        return dataclasses.asdict(self)

    def sample(self, seed, outer_step, multiple):
        """The horizon of one problem.

        Args:
            seed: [2] int32, the problem's.
            outer_step: int32 scalar, outer steps done so far.
            multiple: Integer that divides the horizon.

        Returns:
            int32 scalar.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Constant(Horizon):
    """All problems are equally long.

    Args:
        steps: Inner steps per problem.
    """

    steps: int

    def __post_init__(self):
        check_integer("horizon", self.steps, 1)

    @property
    def longest(self):
        return self.steps

    @property
    def varies(self):
        return False

    def lengths(self):
        return {"horizon": self.steps}

    def sample(self, seed, outer_step, multiple):
        del seed, outer_step, multiple
        return tf.constant(self.steps)


@dataclasses.dataclass(frozen=True)
class LogUniform(Horizon):
    """Horizons from `low` to `high`, each octave as often as any other.

    Args:
        low, high: Shortest and longest horizon, in inner steps.
        shares_of: "problems", or "steps": each octave has the same share of
            the inner steps instead. Where problems of 100 steps are only as
            frequent as those of 2,000, these have most of the steps.
    """

    low: int
    high: int
    shares_of: str = dataclasses.field(default="problems", kw_only=True)

    def __post_init__(self):
        check_choice("shares_of", self.shares_of, ("problems", "steps"))
        for name, value in dataclasses.asdict(self).items():
            if name != "shares_of":
                check_integer(name, value, 1)
        if self.low > self.high:
            raise ValueError(
                "`low` must be <= `high`, the longest horizon. "
                f"Received: low={self.low}, high={self.high}"
            )

    @property
    def longest(self):
        return self.high

    def lengths(self):
        return {"low": self.low, "high": self.high}

    def _high(self, outer_step):
        """The longest horizon so far, a number or a scalar."""
        del outer_step
        return float(self.high)

    def sample(self, seed, outer_step, multiple):
        high = self._high(outer_step)
        if self.shares_of == "steps":
            # Uniform inverses: a density that falls by another factor of the
            # horizon, which is the number of steps of a problem.
            drawn = 1.0 / _uniform(seed, 1.0 / self.low, 1.0 / high)
        else:
            drawn = tf.exp(
                _uniform(seed, math.log(self.low), tf.math.log(high))
            )
        pieces = tf.cast(tf.round(drawn / multiple), tf.int32)
        return multiple * tf.clip_by_value(
            pieces, self.low // multiple, self.high // multiple
        )


def _uniform(seed, low, high):
    return tf.random.stateless_uniform((), seed, low, high, alg="philox")


@dataclasses.dataclass(frozen=True)
class Growing(LogUniform):
    """Horizons from `low` to a longest one that grows from `low` to `high`.

    It grows by equal factors, until after `outer_steps`.

    Args:
        low, high: As for `LogUniform`.
        outer_steps: Outer steps until horizons are as long as `high`.
    """

    outer_steps: int

    def _high(self, outer_step):
        done = tf.cast(outer_step, tf.float32) / self.outer_steps
        return self.low * (self.high / self.low) ** tf.minimum(done, 1.0)


def as_horizon(horizon):
    """A `Horizon` of one, or of an integer.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(horizon, Horizon):
        return horizon
    return Constant(horizon)

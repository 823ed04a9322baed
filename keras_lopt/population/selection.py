"""Selection: which members go on, by their scores (lower is better).

Population based training (Jaderberg et al. 2017, 1711.09846) and variants.
"""

import dataclasses

import numpy as np

from keras_lopt.checks import check_number


@dataclasses.dataclass(frozen=True)
class Selection:
    """Two decisions per generation."""

    def check(self, count):
        """Raises ValueError unless a population of `count` can be selected."""

    def sources(self, scores, rng):
        """Which member each child starts this generation from.

        Args:
            scores: [p] scores of the members.
            rng: A `numpy.random.Generator`.

        Returns:
            [p] member indices; i means "from itself".
        """
        del rng
        return np.arange(len(scores))

    def accepted(self, scores, child_scores):
        """[p] bool: where the child takes its member's place."""
        del scores
        return np.ones(len(child_scores), bool)


class NoSelection(Selection):
    """Every child takes its parent's place."""


@dataclasses.dataclass(frozen=True)
class Truncation(Selection):
    """The worst start as copies of the best, drawn at random.

    Args:
        fraction: Part of the population, at either end; 0.2 as published.
    """

    fraction: float = 0.25

    def __post_init__(self):
        check_number("fraction", self.fraction, "(0, 0.5]")

    def check(self, count):
        part = count * self.fraction
        if count > 1 and not float(part).is_integer():
            raise ValueError(
                "`population` must be 1 or such that `fraction` of it is a "
                f"whole number of members. Received: population={count}, "
                f"fraction={self.fraction}, which is {part} members"
            )

    def sources(self, scores, rng):
        count = len(scores)
        part = int(count * self.fraction)
        sources = np.arange(count)
        if part:
            order = np.argsort(scores, kind="stable")
            sources[order[-part:]] = rng.choice(order[:part], size=part)
        return sources


@dataclasses.dataclass(frozen=True)
class Elitist(Truncation):
    """Truncation; a child takes a member's place only if it scores better.

    Without this a population of random rules drifts to divergence: what a
    random rule does to a theta is mostly a constant drift.

    Args:
        fraction: As for `Truncation`.
        tolerance: A child may score worse by less than this. Steps near an
            optimum gain less than a scoring can tell; where none of them is
            accepted, nothing is learned.
    """

    tolerance: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_number("tolerance", self.tolerance, "[0, inf)")

    def accepted(self, scores, child_scores):
        return child_scores < scores + self.tolerance


class WinnerTakeAll(Selection):
    """Every child starts from the best member."""

    def sources(self, scores, rng):
        del rng
        return np.full(len(scores), np.argmin(scores))

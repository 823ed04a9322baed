"""Persistent evolution strategies (Vicol, Metz, Sohl-Dickstein 2112.13835)."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from keras_lopt.checks import check_integer
from keras_lopt.estimators.base import Estimator


@dataclasses.dataclass(frozen=True)
class PES(Estimator):
    """Unbiased estimates from truncated runs, by accumulated noise.

    Args:
        truncation: Inner steps between two estimates; divides the horizon, so
            that problems end between estimates.
        pairs, horizon, sigma, outer_split, clip, mapping: Those of
            `Estimator`.

    >>> from keras_lopt import estimators
    >>> estimators.PES(pairs=8, horizon=100, truncation=20).steps_per_estimate
    20
    """

    truncation: int = 20

    name: ClassVar[str] = "pes"

    def __post_init__(self):
        super().__post_init__()
        check_integer("truncation", self.truncation, 1)
        if self.horizon % self.truncation:
            raise ValueError(
                "`truncation` must divide `horizon`. Received: "
                f"truncation={self.truncation}, horizon={self.horizon}"
            )

    @property
    def steps_per_estimate(self):
        return self.truncation

    def next_noise(self, previous, drawn, is_new):
        return drawn, tf.where(is_new, drawn, previous + drawn)

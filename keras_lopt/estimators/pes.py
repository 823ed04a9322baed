"""Persistent evolution strategies (Vicol, Metz, Sohl-Dickstein 2112.13835)."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from keras_lopt.estimators.base import TruncatedEstimator


@dataclasses.dataclass(frozen=True)
class PES(TruncatedEstimator):
    """Unbiased estimates from truncated runs, by accumulated noise.

    Args:
        pairs, horizon, sigma, ..., truncation: Those of `TruncatedEstimator`.

    >>> from keras_lopt import estimators
    >>> estimators.PES(pairs=8, horizon=100, truncation=20).steps_per_estimate
    20
    """

    name: ClassVar[str] = "pes"

    def next_noise(self, previous, drawn, is_new):
        return drawn, tf.where(is_new, drawn, previous + drawn)

"""Noise-reuse evolution strategies (Li et al. 2023, arXiv 2304.12180)."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from keras_lopt.estimators.base import TruncatedEstimator


@dataclasses.dataclass(frozen=True)
class NRES(TruncatedEstimator):
    """Unbiased estimates from truncated runs: one noise for a whole problem.

    Its variance is lower than that of PES where problems are many truncations
    long, since no noise adds up.

    Args:
        pairs, horizon, sigma, ..., truncation: Those of `TruncatedEstimator`.

    >>> from keras_lopt import estimators
    >>> estimators.NRES(pairs=8, horizon=100, truncation=20).name
    'nres'
    """

    name: ClassVar[str] = "nres"

    def next_noise(self, previous, drawn, is_new):
        noise = tf.where(is_new, drawn, previous)
        return noise, noise

"""Truncated evolution strategies: cheap, and blind beyond the truncation."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from keras_lopt.estimators.base import TruncatedEstimator


@dataclasses.dataclass(frozen=True)
class TruncatedES(TruncatedEstimator):
    """Fresh noise per truncation; both sides start from one inner state.

    That state is the one that the + side ended with. The estimate is biased:
    what theta did before the truncation does not count (arXiv 1803.02021 has
    an analysis).

    Args:
        pairs, horizon, sigma, ..., truncation: Those of `TruncatedEstimator`.

    >>> from keras_lopt import estimators
    >>> estimators.TruncatedES(pairs=8, horizon=100).truncation
    20
    """

    name: ClassVar[str] = "truncated_es"

    def next_noise(self, previous, drawn, is_new):
        del previous, is_new
        return drawn, drawn

    def next_inner(self, inner):
        return tf.nest.map_structure(
            lambda leaf: tf.stack([leaf[:, :, 0]] * 2, axis=2), inner
        )

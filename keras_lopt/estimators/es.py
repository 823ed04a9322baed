"""Full-horizon antithetic ES (Rechenberg 1973; Salimans et al. 1703.03864)."""

import dataclasses
from typing import ClassVar

from keras_lopt.estimators.base import Estimator


@dataclasses.dataclass(frozen=True)
class ES(Estimator):
    """Every estimate runs whole problems; nothing survives between them.

    Args:
        pairs, horizon, sigma, ...: Those of `Estimator`. All problems have
            the same horizon.

    >>> from keras_lopt import estimators
    >>> estimators.ES(pairs=8, horizon=100).steps_per_estimate
    100
    """

    name: ClassVar[str] = "es"

    def __post_init__(self):
        super().__post_init__()
        if self.horizons.varies:
            raise ValueError(
                "`horizon` must be an integer for `ES`, whose estimates are "
                "whole runs side by side; use `PES` or `NRES` for horizons "
                f"that vary. Received: horizon={self.horizon!r}"
            )

    @property
    def steps_per_estimate(self):
        return self.horizons.longest

    def next_noise(self, previous, drawn, is_new):
        del previous, is_new
        return drawn, drawn

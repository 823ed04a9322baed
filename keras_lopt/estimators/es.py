"""Full-horizon antithetic ES (Rechenberg 1973; Salimans et al. 1703.03864)."""

import dataclasses
from typing import ClassVar

from keras_lopt.estimators.base import Estimator


@dataclasses.dataclass(frozen=True)
class ES(Estimator):
    """Every estimate runs whole problems; nothing survives between them.

    Args:
        pairs, horizon, sigma, outer_split, clip, mapping: Those of
            `Estimator`.

    >>> from keras_lopt import estimators
    >>> estimators.ES(pairs=8, horizon=100).steps_per_estimate
    100
    """

    name: ClassVar[str] = "es"

    @property
    def steps_per_estimate(self):
        return self.horizon

    def next_noise(self, previous, drawn, is_new):
        del previous, is_new
        return drawn, drawn

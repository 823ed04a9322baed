"""Meta-gradients from inner runs, by evolution strategies.

One core (`base.Estimator`) and one small file per algorithm: they differ in
the noise that a run is perturbed with, in the noise that multiplies the
difference of an antithetic pair's losses, and in what survives between
truncations.
"""

from keras_lopt import extras  # noqa: F401
from keras_lopt.estimators.base import (
    Estimator,
    EstimatorState,
    Problems,
    TruncatedEstimator,
)
from keras_lopt.estimators.es import ES
from keras_lopt.estimators.horizons import (
    Constant,
    Growing,
    Horizon,
    LogUniform,
)
from keras_lopt.estimators.inner_run import InnerRun, InnerState
from keras_lopt.estimators.nres import NRES
from keras_lopt.estimators.pes import PES
from keras_lopt.estimators.truncated_es import TruncatedES

__all__ = [
    "ES",
    "NRES",
    "PES",
    "Constant",
    "Estimator",
    "EstimatorState",
    "Growing",
    "Horizon",
    "InnerRun",
    "InnerState",
    "LogUniform",
    "Problems",
    "TruncatedES",
    "TruncatedEstimator",
]

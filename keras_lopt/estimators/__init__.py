"""Meta-gradients from inner runs, by evolution strategies.

One core (`base.Estimator`) and one small file per algorithm. Algorithms differ
in the noise that perturbs a run, and in the noise that multiplies the
difference of an antithetic pair's losses.
"""

from keras_lopt.estimators.base import Estimator, EstimatorState
from keras_lopt.estimators.es import ES
from keras_lopt.estimators.inner_run import InnerRun, InnerState
from keras_lopt.estimators.pes import PES

__all__ = [
    "ES",
    "PES",
    "Estimator",
    "EstimatorState",
    "InnerRun",
    "InnerState",
]

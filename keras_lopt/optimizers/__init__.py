"""A rule and its theta as a Keras optimizer, with callbacks and wrappers."""

from keras_lopt.optimizers.callbacks import (
    InferHorizon,
    PassValidationLoss,
    ReportGuard,
)
from keras_lopt.optimizers.guard import DivergenceGuard
from keras_lopt.optimizers.learned_optimizer import LearnedOptimizer
from keras_lopt.optimizers.wrappers import LossScaleOptimizer, MultiOptimizer

__all__ = [
    "DivergenceGuard",
    "InferHorizon",
    "LearnedOptimizer",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "PassValidationLoss",
    "ReportGuard",
]

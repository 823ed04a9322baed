"""keras_lopt: learned optimizers for Keras 3 that train themselves.

The public names are loaded on first use, so that rules, optimizers and
optimizer files work on the JAX and PyTorch backends without TensorFlow.
"""

import importlib

from keras_lopt import quiet

__version__ = "0.1.0"

_SUBPACKAGES = (
    "checkpoints",
    "config",
    "estimators",
    "evaluation",
    "optimizers",
    "population",
    "rules",
    "tasks",
    "training",
)

__all__ = ["LearnedOptimizer", *_SUBPACKAGES]


def __getattr__(name):
    with quiet.without_noise():  # Keras imports its backend.
        if name == "LearnedOptimizer":
            optimizers = importlib.import_module("keras_lopt.optimizers")
            return optimizers.LearnedOptimizer
        if name in _SUBPACKAGES:
            return importlib.import_module(f"keras_lopt.{name}")
    raise AttributeError(
        f"module `keras_lopt` has no attribute {name!r}. "
        f"It has: {', '.join(__all__)}"
    )


def __dir__():
    return sorted([*globals(), *__all__])

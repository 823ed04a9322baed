"""keras_lopt: learned optimizers for Keras 3 that train themselves.

`LearnedOptimizer` is registered with Keras as soon as Keras is there, so that
models that were saved with it can be loaded. The public names are loaded on
first use: rules, optimizers and optimizer files work on the JAX and PyTorch
backends without TensorFlow.
"""

import importlib

from keras_lopt import quiet, registration

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

registration.register()


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
    return sorted([*__all__, "__version__"])

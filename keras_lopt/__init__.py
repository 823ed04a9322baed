"""keras_lopt: learned optimizers for Keras 3 that train themselves.

`LearnedOptimizer` is here at once, so that Keras can load models that were
saved with it. The sub-packages are loaded on first use: rules, optimizers and
optimizer files work on the JAX and PyTorch backends without TensorFlow.
"""

import importlib

import keras

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


if keras.backend.backend() in ("tensorflow", "jax", "torch"):
    # Registers the class with Keras. Other backends compute no gradients.
    from keras_lopt.optimizers import LearnedOptimizer


def __getattr__(name):
    if name == "LearnedOptimizer":
        return importlib.import_module("keras_lopt.optimizers").LearnedOptimizer
    if name in _SUBPACKAGES:
        return importlib.import_module(f"keras_lopt.{name}")
    raise AttributeError(
        f"module `keras_lopt` has no attribute {name!r}. "
        f"It has: {', '.join(__all__)}"
    )


def __dir__():
    return sorted([*__all__, "__version__"])

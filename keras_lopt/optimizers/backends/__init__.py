"""What LearnedOptimizer is built on, by Keras backend.

Every backend has a `BackendOptimizer`, a subclass of `base.LossOptimizer`. The
functions here are what a backend needs of its own; only TensorFlow does.
"""

import contextlib
import threading

import keras

#: Context in which values are computed now, even while tracing.
eager_scope = contextlib.nullcontext
#: Function that returns a key for the replica that is being traced.
replica_key = threading.get_ident


def compiled(function):
    """`function` compiled by XLA on TensorFlow; elsewhere `function`."""
    return function


def run_step(step):
    """Calls `step`, a function without arguments that assigns variables."""
    step()


if keras.backend.backend() == "tensorflow":
    from keras_lopt.optimizers.backends.tensorflow import (
        BackendOptimizer,
        compiled,
        eager_scope,
        replica_key,
        run_step,
    )
elif keras.backend.backend() == "jax":
    from keras_lopt.optimizers.backends.jax import BackendOptimizer
elif keras.backend.backend() == "torch":
    from keras_lopt.optimizers.backends.torch import BackendOptimizer
else:
    raise ImportError(
        "`keras_lopt.optimizers` needs a Keras backend that computes "
        "gradients: 'tensorflow', 'jax' or 'torch'. Received: "
        f"keras.backend.backend()={keras.backend.backend()!r}"
    )

__all__ = [
    "BackendOptimizer",
    "compiled",
    "eager_scope",
    "replica_key",
    "run_step",
]

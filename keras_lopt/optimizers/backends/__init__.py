"""What LearnedOptimizer is built on, by Keras backend.

Every backend has a `BackendOptimizer`, a subclass of `base.LossOptimizer`. The
functions here are what a backend needs of its own: `dense`, which turns any
gradient into a tensor of its variable's shape, and `known_value`, what a
variable holds, on all of them; the others only on TensorFlow.
"""

import contextlib

import keras

#: Context in which values are computed now, even while tracing.
eager_scope = contextlib.nullcontext


def replica_key():
    """A key for the replica that is being traced: here there is only one."""
    return 0


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
        dense,
        eager_scope,
        known_value,
        replica_key,
        run_step,
    )
elif keras.backend.backend() == "jax":
    from keras_lopt.optimizers.backends.jax import (
        BackendOptimizer,
        dense,
        known_value,
    )
elif keras.backend.backend() == "torch":
    from keras_lopt.optimizers.backends.torch import (
        BackendOptimizer,
        dense,
        known_value,
    )
else:
    raise ImportError(
        "`keras_lopt.optimizers` needs a Keras backend that computes "
        "gradients: 'tensorflow', 'jax' or 'torch'. Received: "
        f"keras.backend.backend()={keras.backend.backend()!r}"
    )

__all__ = [
    "BackendOptimizer",
    "compiled",
    "dense",
    "eager_scope",
    "known_value",
    "replica_key",
    "run_step",
]

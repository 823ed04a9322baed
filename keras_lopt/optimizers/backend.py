"""What LearnedOptimizer is built on: one base class for each backend."""

import contextlib
import threading

import keras

eager_scope = contextlib.nullcontext
replica_key = threading.get_ident


def compiled(function):
    """`function` under XLA on TensorFlow, itself elsewhere."""
    return function


def run_step(step):
    """Calls `step`, a function of nothing that assigns variables."""
    step()


if keras.backend.backend() == "tensorflow":
    from keras_lopt.optimizers.tensorflow_backend import (
        BackendOptimizer,
        compiled,
        eager_scope,
        replica_key,
        run_step,
    )
elif keras.backend.backend() == "jax":
    from keras_lopt.optimizers.jax_backend import BackendOptimizer
elif keras.backend.backend() == "torch":
    from keras_lopt.optimizers.torch_backend import BackendOptimizer
else:
    raise ImportError(
        "`keras_lopt.optimizers` runs on the Keras backends 'tensorflow', "
        "'jax' and 'torch', which take gradients. Received: "
        f"keras.backend.backend()={keras.backend.backend()!r}"
    )

__all__ = [
    "BackendOptimizer",
    "compiled",
    "eager_scope",
    "replica_key",
    "run_step",
]

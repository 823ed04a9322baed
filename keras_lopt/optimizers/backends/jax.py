"""The JAX backend of LearnedOptimizer: losses of accumulated steps.

The training loss itself needs no work here. `scale_loss` runs inside the
differentiated function, and `stop_gradient` there returns a value of the
surrounding trace of the whole step, which `apply` can use.
"""

import numpy as np
from jax.experimental.sparse import JAXSparse

from keras_lopt.optimizers.backends.base import LossOptimizer


def dense(gradient, shape):
    """`gradient` without sparsity; entries of equal index are summed."""
    del shape  # JAX knows all shapes.
    return gradient.todense() if isinstance(gradient, JAXSparse) else gradient


def known_value(variable):
    """NumPy value of a variable; None while `fit` keeps it elsewhere."""
    value = variable._value
    if value is None or value.is_deleted():
        return None
    return np.asarray(value)


class BackendOptimizer(LossOptimizer):
    """Adds up losses itself, because Keras has no hooks for that on JAX."""

    def _backend_apply_gradients(self, grads, trainable_variables):
        super()._backend_apply_gradients(grads, trainable_variables)
        steps = self.gradient_accumulation_steps
        if steps:
            is_update = (self._iterations + 1) % steps == 0
            self._train_loss.add_or_reset(is_update)

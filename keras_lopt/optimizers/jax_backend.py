"""The JAX side of LearnedOptimizer: losses of accumulated steps.

The training loss needs nothing of its own. `scale_loss` runs inside the
differentiated function; `stop_gradient` gives back a value of the trace around
it, that of the whole step, where `apply` can use it.
"""

import keras


class BackendOptimizer(keras.optimizers.Optimizer):
    """Where Keras branches without the hooks of the other backends."""

    def _backend_apply_gradients(self, grads, trainable_variables):
        super()._backend_apply_gradients(grads, trainable_variables)
        steps = self.gradient_accumulation_steps
        if steps:
            is_update = (self._iterations + 1) % steps == 0
            self._train_loss.add_or_reset(is_update)

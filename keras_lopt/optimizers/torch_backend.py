"""The PyTorch side of LearnedOptimizer: an update is not differentiated."""

import keras
import torch


class BackendOptimizer(keras.optimizers.Optimizer):
    """Applies gradients without recording it for a backward pass."""

    @torch.no_grad()
    def _backend_apply_gradients(self, grads, trainable_variables):
        super()._backend_apply_gradients(grads, trainable_variables)

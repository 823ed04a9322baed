"""The PyTorch backend of LearnedOptimizer: updates are not differentiated."""

import torch

from keras_lopt.optimizers.backends.base import LossOptimizer


class BackendOptimizer(LossOptimizer):
    """Applies gradients without recording that for a backward pass."""

    @torch.no_grad()
    def _backend_apply_gradients(self, grads, trainable_variables):
        super()._backend_apply_gradients(grads, trainable_variables)

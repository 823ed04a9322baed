"""The PyTorch backend of LearnedOptimizer: updates are not differentiated."""

import torch

from keras_lopt.optimizers.backends.base import LossOptimizer


def dense(gradient, shape):
    """`gradient` without sparsity; entries of equal index are summed."""
    del shape  # PyTorch knows all shapes.
    is_sparse = getattr(gradient, "layout", torch.strided) != torch.strided
    return gradient.to_dense() if is_sparse else gradient


def known_value(variable):
    """NumPy value of a variable."""
    return variable.value.detach().cpu().numpy()


class BackendOptimizer(LossOptimizer):
    """Applies gradients without recording that for a backward pass."""

    @torch.no_grad()
    def _backend_apply_gradients(self, grads, trainable_variables):
        super()._backend_apply_gradients(grads, trainable_variables)

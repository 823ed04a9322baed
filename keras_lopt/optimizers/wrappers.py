"""Keras's wrapping optimizers, which here pass on the training loss.

The stock ones do not pass the loss that `fit` gives them to what they wrap.
"""

import keras

_PACKAGE = "keras_lopt"


def learned_optimizers(optimizer):
    """The LearnedOptimizers that `optimizer` is or wraps, at any depth."""
    if hasattr(optimizer, "record_loss"):
        return [optimizer]
    inner = getattr(optimizer, "inner_optimizer", None)
    wrapped = getattr(optimizer, "optimizers", [] if inner is None else [inner])
    return [found for one in wrapped for found in learned_optimizers(one)]


@keras.saving.register_keras_serializable(package=_PACKAGE)
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """`keras.optimizers.LossScaleOptimizer` for rules that need the loss.

    Under the policy `mixed_float16`, `compile` wraps the optimizer in the stock
    class. Rules that need the loss (`hierarchical`, `velo` and `celo`) must be
    wrapped in this one instead. Arguments are those of the stock class. The
    rule does not see steps that this class skips.

    >>> import keras
    >>> from keras_lopt import optimizers, rules
    >>> rule = rules.get("hierarchical")
    >>> inner = optimizers.LearnedOptimizer(rule, rule.init_theta(seed=0))
    >>> optimizer = optimizers.LossScaleOptimizer(inner)
    """

    def scale_loss(self, loss):
        for inner in learned_optimizers(self.inner_optimizer):
            inner.record_loss(loss)
        return super().scale_loss(loss)


if hasattr(keras.optimizers, "MultiOptimizer"):

    @keras.saving.register_keras_serializable(package=_PACKAGE)
    class MultiOptimizer(keras.optimizers.MultiOptimizer):
        """`keras.optimizers.MultiOptimizer` for rules that need the loss.

        Arguments are those of the stock class. Every wrapped optimizer gets
        the loss of the whole model.
        """

        def scale_loss(self, loss):
            for inner in learned_optimizers(self):
                inner.record_loss(loss)
            return super().scale_loss(loss)

else:  # The installed Keras lacks it.
    MultiOptimizer = None

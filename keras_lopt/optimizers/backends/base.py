"""What the optimizers of all backends share: where a step's loss is kept."""

import keras


class LossOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer that is told the training loss of each step.

    The backends move the loss between the calls of one step through
    `train_loss` only.

    Args:
        train_loss: A `TrainLoss`.
        learning_rate: Float or schedule.
        **kwargs: Arguments of `keras.optimizers.Optimizer`.
    """

    def __init__(self, train_loss, learning_rate, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self._train_loss = train_loss

    def scale_loss(self, loss):
        self.record_loss(loss)
        return super().scale_loss(loss)

    def record_loss(self, loss):
        """Records the step's training loss, a scalar that is not scaled."""
        self._train_loss.record(loss)

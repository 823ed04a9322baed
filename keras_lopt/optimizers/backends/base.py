"""What the optimizers of all backends share: a step's loss, and averages."""

import keras
from keras import ops


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

    # Averages of the model (`use_ema`) belong to variables. Keras matches them
    # by position, which is wrong once a layer is frozen: its optimizers then
    # raise, or write one layer's average into another.

    def _update_model_variables_moving_average(self, trainable_variables):
        """Updates the averages; that of a frozen variable stays as it is."""
        is_later = ops.not_equal(self.iterations, 0)
        for variable in trainable_variables:
            average = self._average_of(variable)
            if average is None:
                continue
            momentum = self.ema_momentum if variable.trainable else 1.0
            # The average starts as the value after the first step.
            momentum = ops.multiply(
                ops.cast(is_later, variable.dtype), momentum
            )
            average.assign(
                ops.add(
                    ops.multiply(momentum, average),
                    ops.multiply(ops.subtract(1, momentum), variable),
                )
            )

    def _overwrite_model_variables_with_average_value(
        self, trainable_variables
    ):
        """Overwrites variables with their averages, but no frozen ones."""
        for variable in trainable_variables:
            average = self._average_of(variable)
            if average is not None and variable.trainable:
                variable.assign(average)

    def _average_of(self, variable):
        """The average of a variable, or None if there is none."""
        index = self._trainable_variables_indices.get(self._var_key(variable))
        averages = self._model_variables_moving_average
        return None if index is None else averages[index]

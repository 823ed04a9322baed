"""Losses of tasks: a Keras loss, a function, or one per output."""

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="keras_lopt")
class MeanOutput(keras.losses.Loss):
    """The mean of the outputs, for a model that computes its own loss."""

    def __init__(self, name="mean_output", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        del y_true
        return y_pred


class FunctionLoss(keras.losses.Loss):
    """The batch mean of a function, as `compile` makes it.

    Args:
        function: Function of targets and outputs.
    """

    def __init__(self, function):
        # Keras names a scope after the loss, and "<lambda>" is not a scope.
        super().__init__(name=loss_name(function).strip("<>"))
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


class JointLoss:
    """The sum of the losses of several outputs, as in `compile`.

    Args:
        losses: Dict, list or tuple of functions of targets and outputs.
    """

    def __init__(self, losses):
        self.losses = losses
        self.name = "+".join(map(loss_name, tf.nest.flatten(losses)))

    def parts(self, targets, outputs):
        """Yields (loss, its targets, its outputs)."""
        keys = (
            list(self.losses)
            if isinstance(self.losses, dict)
            else range(len(self.losses))
        )
        for key in keys:
            yield self.losses[key], targets[key], outputs[key]

    def __call__(self, targets, outputs):
        return sum(loss(y, x) for loss, y, x in self.parts(targets, outputs))


def loss_function(loss):
    """The function of targets and outputs that `loss` stands for.

    Args:
        loss: A Keras loss, its name, or a function of targets and outputs; a
            dict, list or tuple of these, one per output; or None if the model
            adds all of its loss itself.

    Raises:
        ValueError: Anything else.
    """
    if loss is None:
        return no_loss
    if isinstance(loss, dict):
        return JointLoss({k: loss_function(v) for k, v in loss.items()})
    if isinstance(loss, (list, tuple)):
        return JointLoss([loss_function(part) for part in loss])
    function = keras.losses.get(loss)
    if not callable(function):
        raise ValueError(
            "`loss` must be a Keras loss, its name, or a function of targets "
            f"and outputs. Received: loss={loss!r}"
        )
    return function


def no_loss(targets, outputs):
    """Zero for all outputs."""
    del targets, outputs
    return ops.zeros(())


def loss_name(function):
    """The name of a Keras loss or function, or of an object's class."""
    names = (getattr(function, n, None) for n in ("name", "__name__"))
    strings = [name for name in names if isinstance(name, str)]
    return strings[0] if strings else type(function).__name__

"""A model around a model: with other inputs, other parameters, more losses."""

import keras
from keras import ops


class ModelWrapper(keras.Model):
    """Base of models that compute what another model does, with changes.

    The weights of the inner model are this model's too, in the same order. A
    subclass keeps further weights in layers that it creates afterwards.

    Args:
        inner: A built Keras model.
    """

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, input_shape):
        self.built = True  # The weights and the sublayers exist already.

    def seen(self, inputs, training):
        """The inputs that the inner model gets."""
        del training
        return inputs

    def params(self, training):
        """The values that the inner model uses for its trainable weights."""
        del training
        return [ops.convert_to_tensor(v) for v in self.trainables]

    def more_losses(self, params, training):
        """List of losses in addition to the inner model's."""
        del params, training
        return []

    @property
    def input_shape(self):
        """The inner model's input shape, or None if it has none."""
        return getattr(self.inner, "input_shape", None)

    @property
    def trainables(self):
        """The inner model's trainable weights."""
        return self.inner.trainable_variables

    def call(self, inputs, training=None):
        variables = self.inner.non_trainable_variables
        params = self.params(training)
        outputs, values, losses = self.inner.stateless_call(
            params,
            [ops.convert_to_tensor(v) for v in variables],
            self.seen(inputs, training),
            training=training,
            return_losses=True,
        )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        # Past Keras's attribute tracking: these are tensors of one call.
        self.__dict__["call_losses"] = [
            *losses,
            *self.more_losses(params, training),
        ]
        return outputs

    @property
    def losses(self):
        """The losses of the last call, the inner model's first."""
        return list(self.__dict__.get("call_losses", ()))

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**{**config, "inner": inner})

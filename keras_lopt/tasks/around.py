"""A model around a model: other inputs, other parameters, more losses."""

import keras
from keras import ops


class Around(keras.Model):
    """Computes what another model does, of what its subclass says.

    The inner model's weights are this model's, in the same places; what a
    subclass has besides belongs into layers that it makes after them.

    Args:
        inner: A built Keras model.
    """

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, input_shape):
        self.built = True  # Both weights and sublayers are there already.

    def seen(self, inputs, training):
        """What the inner model gets of the inputs."""
        del training
        return inputs

    def params(self, training):
        """What it computes with, of its trainable weights."""
        del training
        return [ops.convert_to_tensor(v) for v in self.trainables]

    def more_losses(self, params, training):
        """List of losses besides the inner model's."""
        del params, training
        return []

    @property
    def input_shape(self):
        """The inner model's, or None where that does not say."""
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
        # Not tracked like other attributes: tensors of this call.
        self.__dict__["call_losses"] = [
            *losses,
            *self.more_losses(params, training),
        ]
        return outputs

    @property
    def losses(self):
        """Those of the inner model, with the values it computes with."""
        return list(self.__dict__.get("call_losses", ()))

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**{**config, "inner": inner})

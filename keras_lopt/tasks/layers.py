"""Keras layers for tasks.

Some behave differently in every problem. What differs is a non-trainable
weight with a random initializer, so that problems draw it like any other
initial value.
"""

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="keras_lopt")
class Dense(keras.layers.Dense):
    """Keras's `Dense`, with a gradient that is fast in XLA's own loops.

    The gradient is the same, written as products of explicit transposes. When
    XLA compiles a whole loop to one function
    (`training.make_strategy(whole_loops=True)`), only products of row-major
    factors are fast.
    """

    def call(self, inputs, training=None):
        if len(inputs.shape) != 2:
            return super().call(inputs, training=training)
        outputs = _product(inputs, tf.convert_to_tensor(self.kernel))
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs) if self.activation else outputs


@tf.custom_gradient
def _product(x, kernel):
    def gradient(upstream):
        return (
            tf.matmul(upstream, tf.transpose(kernel)),
            tf.matmul(tf.transpose(x), upstream),
        )

    return tf.matmul(x, kernel), gradient


@keras.saving.register_keras_serializable(package="keras_lopt")
class UnrolledRNN(keras.layers.Layer):
    """Keras's `SimpleRNN` without a loop: every step has its own operations.

    XLA compiles it to fast code for sequences of up to about ten steps, within
    whole loops too (`Dense`).

    Args:
        units, kernel_initializer, recurrent_initializer, return_sequences: As
            for `SimpleRNN`.
    """

    def __init__(
        self,
        units,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        return_sequences=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.return_sequences = return_sequences
        self.inputs = Dense(units, kernel_initializer=kernel_initializer)
        self.recurrent = Dense(
            units, use_bias=False, kernel_initializer=recurrent_initializer
        )

    def build(self, input_shape):
        batch, _, width = input_shape
        self.inputs.build((batch, width))
        self.recurrent.build((batch, self.units))

    def call(self, inputs):
        outputs = []
        for x in ops.unstack(inputs, axis=1):
            x = self.inputs(x)
            if outputs:
                x = ops.add(x, self.recurrent(outputs[-1]))
            outputs.append(ops.tanh(x))
        if self.return_sequences:
            return ops.stack(outputs, axis=1)
        return outputs[-1]

    def compute_output_shape(self, input_shape):
        batch, length, _ = input_shape
        steps = (length,) if self.return_sequences else ()
        return (batch, *steps, self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(
                self.inputs.kernel_initializer
            ),
            "recurrent_initializer": keras.initializers.serialize(
                self.recurrent.kernel_initializer
            ),
            "return_sequences": self.return_sequences,
        }


@keras.saving.register_keras_serializable(package="keras_lopt")
class Cosine(keras.layers.Layer):
    """cos(x), an activation that Keras does not have."""

    def call(self, inputs):
        return ops.cos(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def activation(name):
    """The layer of an activation function.

    Args:
        name: A Keras activation, "cos", or "leaky_relu_0.2" with any slope; or
            a list of Keras activations, of which every problem draws one.
    """
    if not isinstance(name, str):
        return VariedActivation(name)
    if name == "cos":
        return Cosine()
    if name.startswith("leaky_relu_"):
        slope = float(name.removeprefix("leaky_relu_"))
        return keras.layers.LeakyReLU(negative_slope=slope)
    return keras.layers.Activation(name)


@keras.saving.register_keras_serializable(package="keras_lopt")
class RandomChoice(keras.initializers.Initializer):
    """Uniform integers in [0, count), as floats.

    Args:
        count: Number of choices.
        seed: As for Keras's random initializers.
    """

    def __init__(self, count, seed=None):
        self.count = count
        self.seed = seed

    def __call__(self, shape, dtype=None):
        drawn = keras.random.randint(shape, 0, self.count, seed=self.seed)
        return ops.cast(drawn, dtype)

    def get_config(self):
        return {"count": self.count, "seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_lopt")
class VariedActivation(keras.layers.Layer):
    """An activation function that every problem draws from several.

    Args:
        activations: Names of Keras activations.
    """

    def __init__(self, activations, **kwargs):
        super().__init__(**kwargs)
        if len(activations) < 1:
            raise ValueError(
                "`activations` must name at least one Keras activation. "
                f"Received: activations={activations!r}"
            )
        self.activations = list(activations)
        self.choice_initializer = RandomChoice(len(self.activations))
        self._functions = [keras.activations.get(a) for a in self.activations]

    def build(self, input_shape):
        self.choice = self.add_weight(
            name="choice",
            shape=(),
            initializer=self.choice_initializer,
            trainable=False,
        )

    def call(self, inputs):
        outputs = self._functions[0](inputs)
        for i, function in enumerate(self._functions[1:], start=1):
            chosen = ops.equal(self.choice, float(i))
            outputs = ops.where(chosen, function(inputs), outputs)
        return outputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "activations": self.activations}

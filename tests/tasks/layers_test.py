"""Layers of tasks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.tasks.layers import (
    Dense,
    RandomChoice,
    UnrolledRNN,
    VariedActivation,
    activation,
)

ACTIVATIONS = ["relu", "tanh", "sigmoid"]


@pytest.mark.parametrize("choice", range(3))
def test_the_weight_chooses_the_activation(choice):
    layer = VariedActivation(ACTIVATIONS)
    inputs = np.linspace(-2.0, 2.0, 12, dtype=np.float32).reshape(3, 4)
    layer.build(inputs.shape)
    layer.choice.assign(choice)
    expected = keras.activations.get(ACTIVATIONS[choice])(inputs)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-6)


def test_every_choice_is_drawn():
    choices = RandomChoice(3, seed=0)((300,), dtype="float32")
    values, counts = np.unique(choices, return_counts=True)
    np.testing.assert_array_equal(values, [0.0, 1.0, 2.0])
    assert counts.min() > 70


def test_a_varied_activation_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((4,)), VariedActivation(ACTIVATIONS)])
    model.layers[0].choice.assign(2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = np.linspace(-2.0, 2.0, 12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def test_a_random_choice_survives_its_config():
    copy = RandomChoice.from_config(RandomChoice(3, seed=4).get_config())
    assert (copy.count, copy.seed) == (3, 4)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_an_unrolled_rnn_is_a_simple_rnn(tmp_path, rng, return_sequences):
    inputs = rng.normal(size=(2, 5, 3)).astype(np.float32)
    settings = {"return_sequences": return_sequences}
    expected = keras.layers.SimpleRNN(4, **settings)
    outputs = expected(inputs)
    model = keras.Sequential(
        [keras.Input((5, 3)), UnrolledRNN(4, "he_normal", **settings)]
    )
    kernel, recurrent, bias = expected.get_weights()
    model.set_weights([kernel, bias, recurrent])
    np.testing.assert_allclose(model(inputs), outputs, rtol=1e-5, atol=1e-6)
    assert model.output_shape[1:] == outputs.shape[1:]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    initializer = loaded.layers[0].inputs.kernel_initializer
    assert isinstance(initializer, keras.initializers.HeNormal)


def test_no_activations_are_refused():
    with pytest.raises(
        ValueError, match=r"`activations` must name at least one.*=\[\]"
    ):
        VariedActivation([])


@pytest.mark.parametrize("name", ["cos", "leaky_relu_0.2", "tanh", ACTIVATIONS])
def test_activations_know_their_shapes_before_they_are_built(name):
    assert activation(name).compute_output_shape((None, 4)) == (None, 4)


def second_order(layer, inputs, is_compiled):
    """Outputs, gradients of their cubes' sum, and gradients of those."""

    def gradients(inputs, *weights):
        with tf.GradientTape() as outer:
            outer.watch([inputs, weights])
            with tf.GradientTape() as inner:
                inner.watch([inputs, weights])
                outputs, _ = layer.stateless_call(weights, (), inputs)
                loss = tf.reduce_sum(outputs**3)
            first = inner.gradient(loss, [inputs, *weights])
            total = tf.add_n([tf.reduce_sum(g**2) for g in first])
        return outputs, first, outer.gradient(total, [inputs, *weights])

    function = tf.function(gradients, jit_compile=is_compiled, autograph=False)
    return function(inputs, *[v.value for v in layer.trainable_variables])


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", [None, "tanh"])
@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3)])
def test_dense_has_the_outputs_and_gradients_of_keras(
    rng, shape, activation, use_bias, is_compiled
):
    config = {"activation": activation, "use_bias": use_bias}
    ours, keras_s = Dense(4, **config), keras.layers.Dense(4, **config)
    inputs = tf.constant(rng.normal(size=shape), tf.float32)
    for layer in (ours, keras_s):
        layer.build(shape)
    ours.set_weights(keras_s.get_weights())
    found, expected = (
        second_order(layer, inputs, is_compiled) for layer in (ours, keras_s)
    )
    for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(expected)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_dense_multiplies_row_major_matrices():
    """Products with transposed factors are slow in XLA's own loops."""
    layer, inputs = Dense(4), tf.ones([5, 3])
    layer.build(inputs.shape)

    @tf.function(autograph=False)
    def gradient(inputs, kernel, bias):
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel, bias])
            outputs, _ = layer.stateless_call((kernel, bias), (), inputs)
        return tape.gradient(outputs, [inputs, kernel, bias])

    weights = [v.value for v in layer.trainable_variables]
    graph = gradient.get_concrete_function(inputs, *weights).graph
    products = [op for op in graph.get_operations() if op.type == "MatMul"]
    assert len(products) == 3
    for op in products:
        assert not op.get_attr("transpose_a") and not op.get_attr("transpose_b")


def test_dense_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((3,)), Dense(2, activation="tanh")])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is Dense
    inputs = np.linspace(-2.0, 2.0, 12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))

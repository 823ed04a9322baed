"""Fresh initial values by the Keras initializers of a model's weights."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_lopt.tasks import initialization
from keras_lopt.tasks.families.lopt import FromBank
from keras_lopt.tasks.families.quadratic import RandomMatrix
from keras_lopt.tasks.layers import RandomChoice

SHAPE = (16, 8)
PROBLEMS = 200


def draw(initializer, num_problems=PROBLEMS):
    """Values [problems, *SHAPE], compiled as in an inner run."""
    layer = keras.layers.Dense(SHAPE[1], kernel_initializer=initializer)
    layer.build((None, SHAPE[0]))
    seeds = tf.stack([tf.fill([num_problems], 5), tf.range(num_problems)], 1)

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def draw_all(seeds):
        return tf.map_fn(
            lambda seed: initialization.fresh_value(
                layer.kernel_initializer, layer.kernel, seed
            ),
            seeds,
            fn_output_signature=tf.float32,
        )

    return draw_all(seeds).numpy()


@pytest.mark.parametrize(
    "name, bound, std",
    [
        ("glorot_uniform", 0.5, 0.5 / math.sqrt(3.0)),  # sqrt(6 / (16 + 8))
        # Truncated at two standard deviations, and rescaled for that.
        ("he_normal", 2.0 * math.sqrt(2 / 16) / 0.8796, math.sqrt(2 / 16)),
        ("random_normal", 0.5, 0.05),
        ("he_uniform", math.sqrt(6 / 16), math.sqrt(2 / 16)),
        ("lecun_normal", 2.0 * math.sqrt(1 / 16) / 0.8796, math.sqrt(1 / 16)),
        (
            {
                "class_name": "RandomUniform",
                "config": {"minval": -3, "maxval": 3},
            },
            3.0,
            math.sqrt(3.0),
        ),
        # An initializer of a family: the matrix of a quadratic form.
        (RandomMatrix("normal", (0.0, 1.5)), 9.0, 1.5),
        (RandomMatrix("uniform", (-0.5, 0.5)), 0.5, 0.5 / math.sqrt(3.0)),
    ],
    # Ids that are equal in every process that runs tests.
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_random_values_are_distributed_as_keras_says(name, bound, std):
    values = draw(name)
    assert values.shape == (PROBLEMS, *SHAPE)
    assert 0.8 * min(bound, 4 * std) < np.abs(values).max() <= bound
    assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    assert values.std() == pytest.approx(std, rel=0.02)
    # Every single entry varies between problems.
    np.testing.assert_allclose(values.std(axis=0), std, rtol=0.35)


def test_log_uniform_values_are_uniform_in_their_logarithm():
    logs = np.log10(draw(initialization.LogUniform(0.01, 100.0), 50))
    counts = np.histogram(logs, bins=8, range=(-2.0, 2.0))[0]
    assert counts.sum() == logs.size
    np.testing.assert_allclose(counts, logs.size / 8, rtol=0.15)


@pytest.mark.parametrize(
    "initializer",
    [
        RandomChoice(4),
        FromBank(np.tile(np.arange(4.0)[:, None, None], (1, *SHAPE))),
    ],
    ids=["choice", "bank"],
)
def test_choices_are_uniform(initializer):
    values, counts = np.unique(draw(initializer), return_counts=True)
    np.testing.assert_array_equal(values, [0.0, 1.0, 2.0, 3.0])
    share = counts / counts.sum()
    # 200 independent problems: four standard deviations.
    np.testing.assert_allclose(share, 0.25, atol=4 * math.sqrt(0.1875 / 200))


def test_problems_are_independent():
    flat = draw("glorot_uniform").reshape(PROBLEMS, -1)
    correlations = np.corrcoef(flat) - np.eye(PROBLEMS)
    assert np.abs(correlations).max() < 5.5 / math.sqrt(flat.shape[1])
    assert len(np.unique(flat)) > 0.99 * flat.size


def test_orthogonal_values_are_orthogonal():
    for value in draw("orthogonal", 2):
        np.testing.assert_allclose(value.T @ value, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("name, value", [("zeros", 0.0), ("ones", 1.0)])
def test_constant_values_are_constant(name, value):
    np.testing.assert_array_equal(draw(name, 3), np.full((3, *SHAPE), value))


def test_the_configuration_of_an_initializer_is_kept():
    initializer = keras.initializers.RandomUniform(2.0, 3.0, seed=7)
    values = draw(initializer, 20)
    assert 2.0 <= values.min() < 2.02 and 2.98 < values.max() <= 3.0
    assert initializer.seed == 7


def test_every_weight_of_nested_models_is_found():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)]
    )
    model = keras.Sequential(
        [
            keras.Input((4,)),
            inner,
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2, kernel_initializer="ones"),
        ]
    )
    found = initialization.initializers(model)
    assert set(found) == {id(v) for v in model.weights}
    kinds = [type(found[id(v)]).__name__ for v in model.trainable_variables]
    assert kinds == ["GlorotUniform", "Zeros", "Ones", "Zeros", "Ones", "Zeros"]


def test_a_layer_without_an_initializer_attribute_is_refused():
    class Scale(keras.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(name="factor", shape=())

        def call(self, inputs):
            return self.factor * inputs

    model = keras.Sequential([keras.Input((4,)), Scale(name="scale")])
    with pytest.raises(
        ValueError,
        match="Layer 'scale' must have an attribute `factor_initializer` for "
        "its weight .*scale/factor', so that every problem can start from "
        "fresh values. Received: none; set `self.factor_initializer",
    ):
        initialization.initializers(model)


def call(layer, shape, **arguments):
    """The model that calls a layer; `arguments` get the same input."""
    inputs = keras.Input(shape)
    arguments = {key: inputs for key in arguments}
    return keras.Model(inputs, layer(inputs, **arguments))


def attend(layer, shape):
    """The model of an attention layer, which takes a list."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer([inputs, inputs]))


def recurrent(layer):
    return call(layer, (5, 24))


def normalization():
    layer = layers.Normalization()
    layer.adapt(np.arange(12.0).reshape(4, 3))
    return call(layer, (3,))


#: As a dict, so that every layer has its own seed.
uniform = {
    "class_name": "RandomUniform",
    "config": {"minval": 0.5, "maxval": 1.5},
}
#: Name -> function that builds a new model with the layer.
LAYERS = {
    "SimpleRNN": lambda: recurrent(layers.SimpleRNN(16)),
    "GRU": lambda: recurrent(layers.GRU(16)),
    "LSTM": lambda: recurrent(layers.LSTM(16)),
    "LSTM, random bias": lambda: recurrent(
        layers.LSTM(64, bias_initializer="glorot_uniform")
    ),
    "LSTM, no forget bias": lambda: recurrent(
        layers.LSTM(16, unit_forget_bias=False, bias_initializer="ones")
    ),
    "LSTM, dropout": lambda: recurrent(layers.LSTM(16, dropout=0.5)),
    "Bidirectional": lambda: recurrent(layers.Bidirectional(layers.LSTM(16))),
    "stacked cells": lambda: recurrent(
        layers.RNN([layers.LSTMCell(16), layers.GRUCell(8)])
    ),
    "cells of one name": lambda: recurrent(
        layers.RNN(
            [
                layers.GRUCell(16, name="cell", kernel_initializer="ones"),
                layers.GRUCell(16, name="cell"),
            ]
        )
    ),
    "ConvLSTM1D": lambda: call(layers.ConvLSTM1D(4, 3), (5, 6, 2)),
    "TimeDistributed": lambda: recurrent(
        layers.TimeDistributed(layers.Dense(16))
    ),
    "Conv2D": lambda: call(layers.Conv2D(8, 3), (8, 8, 4)),
    "DepthwiseConv2D": lambda: call(
        layers.DepthwiseConv2D(3, depthwise_initializer=uniform), (8, 8, 16)
    ),
    "SeparableConv2D": lambda: call(
        layers.SeparableConv2D(
            16, 3, depthwise_initializer=uniform, bias_initializer="ones"
        ),
        (8, 8, 16),
    ),
    "Embedding": lambda: call(layers.Embedding(20, 8), (5,)),
    "BatchNormalization": lambda: call(layers.BatchNormalization(), (3,)),
    "LayerNormalization": lambda: call(
        layers.LayerNormalization(gamma_initializer=uniform), (200,)
    ),
    "GroupNormalization": lambda: call(layers.GroupNormalization(2), (4,)),
    "RMSNormalization": lambda: call(layers.RMSNormalization(), (3,)),
    "SpectralNormalization": lambda: call(
        layers.SpectralNormalization(layers.Dense(100)), (8,)
    ),
    "Normalization": normalization,
    "MultiHeadAttention": lambda: call(
        layers.MultiHeadAttention(4, 6, dropout=0.1), (5, 24), value=True
    ),
    "GroupedQueryAttention": lambda: call(
        layers.GroupQueryAttention(6, 4, 2), (5, 24), value=True
    ),
    "EinsumDense": lambda: call(
        layers.EinsumDense(
            "abc,dce->abed", (None, 8, 16), kernel_initializer="he_normal"
        ),
        (5, 24),
    ),
    "Attention": lambda: attend(
        layers.Attention(use_scale=True, score_mode="concat"), (5, 4)
    ),
    "AdditiveAttention": lambda: attend(layers.AdditiveAttention(), (5, 200)),
    "PReLU": lambda: call(layers.PReLU(alpha_initializer=uniform), (100,)),
    "Dropout": lambda: call(layers.Dropout(0.5), (3,)),
}


def values_of_keras(name, count=4):
    """Initial weights by Keras itself, stacked over models [count, ...]."""
    keras.utils.set_random_seed(0)
    models = [LAYERS[name]() for _ in range(count)]
    weights = zip(*(model.weights for model in models))
    return [np.stack([v.numpy() for v in same]) for same in weights]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_begin_as_in_keras(name):
    model = LAYERS[name]()
    found = initialization.initializers(model)
    assert set(found) == {id(v) for v in model.weights}
    for variable, expected in zip(model.weights, values_of_keras(name)):
        values = np.stack(
            [
                initialization.fresh_value(
                    found[id(variable)], variable, tf.constant([3, i])
                )
                for i in range(4)
            ]
        )
        assert values.shape == expected.shape, variable.path
        assert values.dtype == expected.dtype, variable.path
        varies = np.ptp(expected, axis=0) > 0  # Else Keras has a constant.
        np.testing.assert_array_equal(np.ptp(values, axis=0) > 0, varies)
        np.testing.assert_array_equal(values[:, ~varies], expected[:, ~varies])
        if not np.any(varies):
            continue
        values, expected = values[:, varies], expected[:, varies]
        tolerance = 6.0 * expected.std() / np.sqrt(values.size)
        assert abs(values.mean() - expected.mean()) < tolerance, variable.path
        assert values.std() == pytest.approx(expected.std(), rel=0.15)
        largest = np.abs(expected).max()
        assert np.abs(values).max() == pytest.approx(largest, rel=0.35)


def test_the_forget_bias_is_one_in_every_problem():
    cell = LAYERS["LSTM, random bias"]().layers[1].cell
    initializer = initialization.UnitForgetBias(cell.bias_initializer)
    first, other = (
        initialization.fresh_value(initializer, cell.bias, tf.constant([0, i]))
        for i in range(2)
    )
    np.testing.assert_array_equal(first[64:128], np.ones(64))
    parts = [first[:64], first[128:192], first[192:], other[:64], other[192:]]
    assert len(np.unique(parts)) == 5 * 64


def test_each_use_of_a_seed_tensor_gives_another_seed():
    seed = tf.constant([1, 2])
    first, again = (
        initialization.TensorSeed(seed),
        initialization.TensorSeed(seed),
    )
    drawn = [tuple(first.next().numpy()) for _ in range(3)]
    assert len(set(drawn)) == 3
    assert [tuple(again.next().numpy()) for _ in range(3)] == drawn

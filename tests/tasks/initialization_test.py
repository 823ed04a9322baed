"""Fresh values of a model's weights, by its Keras initializers."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.tasks import initialization

SHAPE = (16, 8)
PROBLEMS = 200


def draw(initializer, num_problems=PROBLEMS):
    """Values [problems, *SHAPE], compiled as in an inner run."""
    layer = keras.layers.Dense(SHAPE[1], kernel_initializer=initializer)
    layer.build((None, SHAPE[0]))
    seeds = tf.stack([tf.fill([num_problems], 5), tf.range(num_problems)], 1)

    @functools.partial(tf.function, jit_compile=True)
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
    ],
)
def test_random_values_are_distributed_as_keras_says(name, bound, std):
    values = draw(name)
    assert values.shape == (PROBLEMS, *SHAPE)
    assert 0.8 * min(bound, 4 * std) < np.abs(values).max() <= bound
    assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    assert values.std() == pytest.approx(std, rel=0.02)
    # Every entry, not just all of them together, varies between problems.
    np.testing.assert_allclose(values.std(axis=0), std, rtol=0.35)


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


def test_an_initializer_is_used_as_it_is_configured():
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
    assert set(found) == {v.path for v in model.weights}
    kinds = [type(found[v.path]).__name__ for v in model.trainable_variables]
    assert kinds == ["GlorotUniform", "Zeros", "Ones", "Zeros", "Ones", "Zeros"]


def test_a_layer_must_say_how_its_weights_begin():
    class Scale(keras.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(name="factor", shape=())

        def call(self, inputs):
            return self.factor * inputs

    model = keras.Sequential([keras.Input((4,)), Scale(name="scale")])
    with pytest.raises(
        ValueError,
        match="Layer 'scale' must have an attribute `factor_initializer` for "
        "its weight .*scale/factor', so that every problem can start",
    ):
        initialization.initializers(model)


def test_a_seed_tensor_counts_its_uses():
    seed = tf.constant([1, 2])
    first, again = (
        initialization.TensorSeed(seed),
        initialization.TensorSeed(seed),
    )
    drawn = [tuple(first.next().numpy()) for _ in range(3)]
    assert len(set(drawn)) == 3
    assert [tuple(again.next().numpy()) for _ in range(3)] == drawn

"""Layers and time embeddings of the rules' networks."""

import numpy as np

from keras_lopt.rules.memory import accumulators, progress
from keras_lopt.rules.networks import layers


def test_a_normalized_layer_equals_a_layer_on_broadcast_features(rng):
    shape, units = (2, 3, 4), 5
    features = [
        3.0 * rng.normal(size=(k, *feature_shape)).astype(np.float32)
        for k, feature_shape in [
            (2, shape),
            (1, (2, 3, 1)),
            (3, (2, 1, 4)),
            (2, (2, 3, 1)),
            (1, shape),
        ]
    ]
    weights = rng.normal(size=(9, units)).astype(np.float32)
    rows = [
        np.broadcast_to(row, shape) for feature in features for row in feature
    ]
    columns = np.stack([r / np.sqrt(1e-5 + np.mean(r**2)) for r in rows])
    bias = rng.normal(size=units).astype(np.float32)
    expected = np.tensordot(weights.T, columns, axes=1)
    expected = expected + bias[:, None, None, None]
    found = layers.normalized_layer(weights, bias, features)
    np.testing.assert_allclose(
        found, expected.reshape(units, -1), rtol=1e-4, atol=1e-5
    )


def test_time_embeddings_follow_their_formulas():
    tanh, sin = progress.time_embed_tanh(3), progress.time_embed_sin(3)
    assert tanh.shape == sin.shape == (11,)
    np.testing.assert_allclose(tanh[1], 0.0, atol=1e-6)
    np.testing.assert_allclose(tanh[0], np.tanh(2.0), rtol=1e-6)
    np.testing.assert_allclose(sin[1], np.sin(1.0 / np.pi), rtol=1e-6)


def test_offsets_of_zero_do_not_change_the_decays():
    start = (0.9, 0.99, 0.999)
    decays = accumulators.learned_decays(start, np.zeros(3, np.float32))
    np.testing.assert_allclose(decays, start, rtol=1e-6)


def test_an_offset_multiplies_the_distance_between_decay_and_one():
    offsets = np.float32([np.log(2.0) / 10.0])
    decays = accumulators.learned_decays((0.9,), offsets)
    np.testing.assert_allclose(decays, [0.8], rtol=1e-6)

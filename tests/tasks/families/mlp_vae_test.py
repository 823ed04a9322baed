"""VAEs: the two parts of the ELBO."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.tasks.families.mlp_vae import GaussianSample, QuantizedNormal

#: Mean and log deviation: wide, narrow, far from the pixels, very far.
OUTPUTS = [(0.5, -1.0), (0.2, -6.0), (3.0, -2.0), (-50.0, 0.5)]


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_probabilities_of_all_pixels_add_up_to_one(output):
    pixels = (np.arange(256, dtype=np.float32) / 255.0)[:, None]
    outputs = np.tile(np.float32(output), (256, 1, 1))
    nats = QuantizedNormal(reduction=None)(pixels, outputs).numpy()
    assert np.all(np.isfinite(nats))
    assert np.sum(np.exp(-nats)) == pytest.approx(1.0, rel=0.02)


def test_samples_and_their_divergence_have_known_moments():
    layer = GaussianSample()
    mean = tf.fill([20_000, 1], 0.7)
    log_variance = tf.fill([20_000, 1], -1.0)
    sample = layer([mean, log_variance])
    (divergence,) = layer.losses
    expected = 0.5 * (0.7**2 + np.exp(-1.0) - 1.0 + 1.0)
    assert float(divergence) == pytest.approx(expected, rel=1e-5)
    assert np.mean(sample) == pytest.approx(0.7, abs=0.02)
    assert np.std(sample) == pytest.approx(np.exp(-0.5), rel=0.03)
    assert isinstance(layer, keras.layers.Layer)

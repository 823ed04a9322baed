"""Real NVP: couplings of halves."""

import numpy as np
import tensorflow as tf

from keras_lopt.tasks.families import nvp


def test_a_coupling_leaves_half_of_the_entries_unchanged(rng):
    layer = nvp.NVP(((6,), "tanh", "glorot_uniform"), 1)
    layer.build((None, 5))
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    x = tf.constant(rng.normal(size=(3, 5)), tf.float32)
    z = layer.bijector(0).inverse(x).numpy()
    np.testing.assert_array_equal(z[:, :2], x[:, :2])
    assert np.all(z[:, 2:] != x[:, 2:])


def test_every_bijector_has_its_own_network():
    layer = nvp.NVP(((6, 7), "relu", "glorot_uniform"), 3)
    layer.build((None, 5))
    shapes = [tuple(v.shape) for v in layer.trainable_variables]
    assert shapes == 3 * [(2, 6), (6,), (6, 7), (7,), (7, 6), (6,)]

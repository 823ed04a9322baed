"""Flows: their densities are densities."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.tasks.families import maf, nvp

SIZE = 4
CONFIG = (6,), "tanh", "glorot_uniform"
KINDS = {"maf": maf.MAF, "nvp": nvp.NVP}


@pytest.fixture(params=KINDS)
def flow(request):
    """A flow of three bijectors far from the identity."""
    layer = KINDS[request.param](CONFIG, 3, noise=0.0)
    layer.build((None, SIZE))
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.7)
    return layer


@pytest.mark.parametrize("x", [(1.0, -2.0, 0.5, 1.5), (0.1, 2.0, -1.0, -3.0)])
def test_the_density_agrees_with_finite_differences(flow, x):
    bijector = flow.distribution().bijector
    x, step = np.float32([x]), 1e-2
    # Of the inverse, from data to noise, which has no loop.
    ends = np.concatenate([x + step * np.eye(SIZE), x - step * np.eye(SIZE)])
    noise = bijector.inverse(tf.constant(ends, tf.float32)).numpy()
    jacobian = (noise[:SIZE] - noise[SIZE:]) / (2 * step)
    sign, log_determinant = np.linalg.slogdet(jacobian)
    found = bijector.inverse_log_det_jacobian(x, event_ndims=1)
    assert sign != 0.0 and abs(log_determinant) > 0.01
    np.testing.assert_allclose(found, log_determinant, rtol=0.02, atol=3e-3)
    z = bijector.inverse(x).numpy()
    log_p = log_determinant - 0.5 * np.sum(z**2 + np.log(2 * np.pi))
    np.testing.assert_allclose(flow(x), [[-log_p]], rtol=0.02)


def test_a_flow_inverts_its_inverse(flow, rng):
    bijector = flow.distribution().bijector
    x = tf.constant(rng.normal(size=(3, SIZE)), tf.float32)
    again = bijector.forward(tf.identity(bijector.inverse(x)))
    np.testing.assert_allclose(again, x, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_flow_starts_near_the_identity(kind, rng):
    layer = kind((*CONFIG[:2], "he_normal"), 2, noise=0.0)
    layer.build((None, SIZE))
    x = rng.normal(size=(3, SIZE)).astype(np.float32)
    normal = 0.5 * np.sum(x**2 + np.log(2 * np.pi), axis=1, keepdims=True)
    np.testing.assert_allclose(layer(x), normal, rtol=0.2)
    assert keras.ops.std(layer(x) - normal) > 0.0

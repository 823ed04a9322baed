"""Accumulators by row and column against plain NumPy, for any shape."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.rules.memory import factored
from keras_lopt.rules.networks import layers

DECAYS = (0.5, 0.9)


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((), None),
        ((7,), None),
        ((6, 4), (1, 0)),
        ((3, 4, 5), (1, 2)),
        ((3, 3, 2, 6), (1, 3)),
        ((5, 5), (0, 1)),  # A square Dense kernel.
        (
            (3, 3, 64, 64),
            (2, 3),
        ),  # A convolution with as many inputs as outputs.
        ((64, 64, 3, 3), (0, 1)),
        ((4, 4, 4), (1, 2)),
        ((1, 5), (0, 1)),
        ((5, 1), (1, 0)),
        ((2, 7, 1, 3, 7), (1, 4)),
    ],
)
def test_the_later_of_two_equal_dimensions_counts_as_larger(shape, expected):
    assert factored.factored_dims(shape) == expected


def features(slots, grad, momenta, full_epsilon):
    entries = {
        "grad": grad[None],
        "momenta": tf.constant(momenta),
        **factored.factored_entries(slots, grad.shape),
    }
    return layers.features_of_whole(
        functools.partial(
            factored.factored_features, full_epsilon=full_epsilon
        ),
        entries,
    )


def reference(grads, momentum, d1, d0):
    """Six features per decay, computed without an axis for the decays."""
    features = []
    for decay in DECAYS:
        row = col = 0.0
        for grad in grads:
            square = grad.astype(np.float64) ** 2 + 1e-30
            row = decay * row + (1 - decay) * square.mean(d0, keepdims=True)
            col = decay * col + (1 - decay) * square.mean(d1, keepdims=True)
        ratio = row / (row.mean(d1, keepdims=True) + 1e-9)
        factor = np.maximum(ratio, 1e-9) ** -0.5 * np.maximum(col, 1e-9) ** -0.5
        ones = np.ones_like(grads[-1])
        features.append(
            [
                grads[-1] * factor,
                row * ones,
                col * ones,
                (row + 1e-8) ** -0.5 * ones,
                (col + 1e-8) ** -0.5 * ones,
                momentum * factor,
            ]
        )
    return [np.stack(of_decays) for of_decays in zip(*features)]


@pytest.mark.parametrize(
    "shape, dims",
    [
        ((6, 4), (1, 0)),
        ((4, 4), (0, 1)),
        ((3, 3, 4, 4), (2, 3)),
        ((1, 5), (0, 1)),
        ((5, 1), (1, 0)),
        ((1, 1), (0, 1)),
        ((2, 3, 1, 2, 3), (1, 4)),
    ],
)
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_features_agree_with_numpy(rng, shape, dims, jit):
    grads = [rng.normal(size=shape).astype(np.float32) for _ in range(3)]
    momentum = rng.normal(size=shape).astype(np.float32)
    momenta = np.stack([momentum] * len(DECAYS))

    def features_of(grads):
        slots = factored.init_factored(len(DECAYS), shape)
        for grad in grads:
            slots = factored.update_factored(DECAYS, slots, grad)
        return features(slots, grads[-1], momenta, 0.0)

    found = tf.function(features_of, jit_compile=jit, autograph=False)(
        [tf.constant(grad) for grad in grads]
    )
    for values, expected in zip(found, reference(grads, momentum, *dims)):
        value = np.stack([np.broadcast_to(v, shape) for v in values])
        np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_second_moments_of_a_vector_are_not_averaged(rng):
    grad = rng.normal(size=(5,)).astype(np.float32)
    slots = factored.update_factored(
        DECAYS, factored.init_factored(len(DECAYS), (5,)), grad
    )
    expected = np.stack([(1 - decay) * grad**2 for decay in DECAYS])
    np.testing.assert_allclose(slots["full"], expected, rtol=1e-5)
    momenta = np.ones((2, 5), np.float32)
    found = features(slots, tf.constant(grad), momenta, 1e-6)
    np.testing.assert_allclose(found[0], grad * expected**-0.5, rtol=1e-4)
    np.testing.assert_allclose(found[1], expected, rtol=1e-5)
    np.testing.assert_allclose(found[2], expected, rtol=1e-5)
    np.testing.assert_allclose(found[5], (expected + 1e-6) ** -0.5, rtol=1e-4)

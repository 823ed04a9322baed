"""Orthogonal matrices: singular values near 1, whole and in blocks."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.rules.networks import orthogonal


def normal(rng, shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (2, 4, 4)])
def test_singular_values_are_near_1(rng, shape):
    x = orthogonal.orthogonalized(normal(rng, shape))
    assert x.shape == shape
    singular = np.linalg.svd(x, compute_uv=False)
    assert 0.6 < singular.min() <= singular.max() < 1.3


def test_it_has_the_singular_vectors_of_the_matrix(rng):
    x = normal(rng, (4, 6))
    left, _, right = np.linalg.svd(x, full_matrices=False)
    inner = left.T @ orthogonal.orthogonalized(x) @ right.T
    singular = np.diag(inner)
    np.testing.assert_allclose(inner, np.diag(singular), atol=1e-4)
    assert np.all((singular > 0.6) & (singular < 1.3))


@pytest.mark.parametrize("iterations", [3, 5])
def test_zeros_stay_zeros(iterations):
    found = orthogonal.orthogonalized(tf.zeros([3, 4]), iterations)
    np.testing.assert_array_equal(found, np.zeros([3, 4]))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (6, 6)])
def test_it_is_newton_schulz(rng, shape):
    x = normal(rng, shape)
    expected = np.float64(x) / np.linalg.norm(x)
    a, b, c = orthogonal.COEFFICIENTS
    for _ in range(3):
        square = expected @ expected.T
        expected = a * expected + (b * square + c * square @ square) @ expected
    found = orthogonal.orthogonalized(x, iterations=3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_many_matrices_are_as_each_alone(rng):
    shapes = [(6, 7), (30, 2), (128, 130), (7, 7), (2, 3), (1, 4), (100, 20)]
    matrices = [normal(rng, shape) for shape in shapes]
    together = orthogonal.orthogonalized_together(matrices)
    for x, found in zip(matrices, together, strict=True):
        expected = orthogonal.orthogonalized(x)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_matrices_are_an_empty_list():
    assert orthogonal.orthogonalized_together([]) == []


@pytest.mark.parametrize("shape", [(150, 200), (150, 129), (150, 150)])
def test_matrices_of_long_sides_are_cut_into_blocks_of_rows(rng, shape):
    x = normal(rng, shape)
    (found,) = orthogonal.orthogonalized_together([x])
    for start in (0, 50, 100):
        rows = slice(start, start + 50)
        np.testing.assert_allclose(
            found[rows], orthogonal.orthogonalized(x[rows]), atol=1e-5
        )


def test_the_last_block_may_have_fewer_rows(rng):
    x = normal(rng, (131, 140))
    (found,) = orthogonal.orthogonalized_together([x])
    assert found.shape == x.shape
    np.testing.assert_allclose(
        found[88:], orthogonal.orthogonalized(x[88:]), atol=1e-5
    )


SIDES = {
    (): (1, 1),
    (5,): (1, 5),
    (6, 4): (6, 4),
    (64, 4, 16): (64, 64),  # Queries of attention,
    (4, 16, 64): (64, 64),  # and its outputs.
    (3, 8, 16): (24, 16),  # A convolution along a line,
    (3, 3, 16, 32): (144, 32),  # in a plane,
    (3, 3, 8, 8): (72, 8),
    (3, 3, 8, 1): (72, 1),  # and one of each channel by itself.
}


@pytest.mark.parametrize("shape", SIDES)
def test_sides(shape):
    assert orthogonal.sides(shape) == SIDES[shape]

"""The orthogonal matrix nearest to a matrix, by products of matrices alone.

What an update of a layer's kernel changes of its outputs depends on the
largest singular value; with all singular values alike, all directions learn at
once. It is the heart of Muon [Jordan et al. 2024,
kellerjordan.github.io/posts/muon] and of Celo2.
"""

import math

from keras import ops

#: Newton-Schulz: coefficients of x, x^3 and x^5, from Muon. They bring singular
#: values near 1, between 0.7 and 1.2, and not to it.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
#: Sides beyond it are cut into blocks of about so many rows: else their
#: products would take many times as long as the gradient of a small batch.
LONGEST_SIDE, BLOCK = 128, 64


def orthogonalized(x, iterations=ITERATIONS):
    """Approximates the orthogonal matrices nearest to `x`, [..., m, n]."""
    is_tall = x.shape[-2] > x.shape[-1]
    x = ops.swapaxes(x, -2, -1) if is_tall else x
    norm = ops.sqrt(ops.sum(x * x, axis=(-2, -1), keepdims=True))
    x = x / (norm + 1e-8)
    first, third, fifth = COEFFICIENTS
    for _ in range(iterations):
        square = ops.matmul(x, ops.swapaxes(x, -2, -1))
        factor = third * square + fifth * ops.matmul(square, square)
        x = first * x + ops.matmul(factor, x)
    return ops.swapaxes(x, -2, -1) if is_tall else x


def orthogonalized_in_blocks(x, iterations=ITERATIONS):
    """As `orthogonalized`, [m, n]; a long shorter side in blocks of its own.

    Each block of rows becomes the orthogonal matrix nearest to it; rows of
    different blocks need not be at right angles.
    """
    height, width = x.shape
    if height > width:
        x = orthogonalized_in_blocks(ops.transpose(x), iterations)
        return ops.transpose(x)
    if height <= LONGEST_SIDE:
        return orthogonalized(x, iterations)
    count = math.ceil(height / BLOCK)
    rows = math.ceil(height / count)
    x = ops.pad(x, ((0, rows * count - height), (0, 0)))
    x = orthogonalized(ops.reshape(x, (count, rows, width)), iterations)
    return ops.reshape(x, (rows * count, width))[:height]


def sides(shape):
    """The matrix that a tensor is, as (m, n); (1, n) if it is a vector.

    A kernel of a convolution, 3x3x16x32, is a matrix of 144x32. Of three axes
    neighbours go together so that both sides are as long as can be: a kernel
    from 64 features to 4 heads of 16 keys is one of 64x64.
    """
    if len(shape) > 3:
        return math.prod(shape[:-1]), shape[-1]
    splits = [
        (math.prod(shape[:k]), math.prod(shape[k:])) for k in range(len(shape))
    ]
    return max(splits, key=min, default=(1, 1))

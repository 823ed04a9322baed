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
#: Gram matrices are padded to multiples of it; those of one size are stacked.
SIZES = 16
#: Added to the sum of squares, so that zeros stay zeros.
TINY = 1e-16
#: Sides beyond it are cut into blocks of about so many rows: else their
#: products would take many times as long as the gradient of a small batch.
LONGEST_SIDE, BLOCK = 128, 64


def orthogonalized(x, iterations=ITERATIONS):
    """Approximates the orthogonal matrices nearest to `x`, [..., m, n]."""
    return _by_factor(x, _factor(_gram(x), iterations))


def orthogonalized_together(matrices, iterations=ITERATIONS):
    """As `orthogonalized`, for a list of [m, n]; similar sizes in one batch.

    A matrix of which both sides are long is cut into blocks of rows. Each block
    becomes the orthogonal matrix nearest to it; rows of different blocks need
    not be at right angles.
    """
    cut = [_in_blocks(x) for x in matrices]  # [blocks, rows, n]s
    grams = [_gram(x) for x in cut]
    sizes = [math.ceil(gram.shape[-1] / SIZES) * SIZES for gram in grams]
    factors = [None] * len(grams)
    for size in sorted(set(sizes)):
        numbers = [i for i, s in enumerate(sizes) if s == size]
        stacked = _factor(
            ops.concatenate([_padded(grams[i], size) for i in numbers]),
            iterations,
        )
        start = 0
        for i in numbers:
            count, side, _ = grams[i].shape
            factors[i] = stacked[start : start + count, :side, :side]
            start += count
    return [
        ops.reshape(_by_factor(x, factor), (-1, matrix.shape[1]))[
            : matrix.shape[0]
        ]
        for x, factor, matrix in zip(cut, factors, matrices, strict=True)
    ]


def _in_blocks(x):
    """[m, n] -> [blocks, rows, n], with rows of zeros at the end."""
    height, width = x.shape
    # Not of columns, even if these are fewer: to cut them out, XLA on CPU
    # computes what x is made of again, entry by entry and across memory.
    is_long = min(height, width) > LONGEST_SIDE
    count = math.ceil(height / BLOCK) if is_long else 1
    rows = math.ceil(height / count)
    if missing := rows * count - height:
        x = ops.pad(x, ((0, missing), (0, 0)))
    return ops.reshape(x, (count, rows, width))


def _is_tall(x):
    return x.shape[-2] > x.shape[-1]


def _gram(x):
    """x x^T, or x^T x if that is smaller. [..., m, m]"""
    transposed = ops.swapaxes(x, -2, -1)
    return (
        ops.matmul(transposed, x) if _is_tall(x) else ops.matmul(x, transposed)
    )


def _by_factor(x, factor):
    """x times a matrix of the size of `_gram(x)`. [..., m, n]"""
    return ops.matmul(x, factor) if _is_tall(x) else ops.matmul(factor, x)


def _padded(gram, size):
    """[..., size, size]. The zeros do not change the factor of the others."""
    missing = size - gram.shape[-1]
    return ops.pad(gram, ((0, 0), (0, missing), (0, missing)))


def _factor(gram, iterations):
    """What x is multiplied by, from its Gram matrix. [..., m, m]

    Each iteration of Newton-Schulz multiplies x by a polynomial of the Gram
    matrix of x so far. The Gram matrix alone gives the product of these
    polynomials, so that x takes part in two matrix products, not in two per
    iteration.
    """
    one = ops.eye(gram.shape[-1], dtype="float32")
    square_norm = ops.sum(gram * one, axis=(-2, -1), keepdims=True)
    gram = gram / (square_norm + TINY)
    first, third, fifth = COEFFICIENTS
    total = None
    for k in range(iterations):
        square = ops.matmul(gram, gram)
        factor = first * one + third * gram + fifth * square
        total = factor if total is None else ops.matmul(factor, total)
        if k < iterations - 1:
            gram = ops.matmul(factor, ops.matmul(factor, gram))
    return total / ops.sqrt(square_norm + TINY)


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

"""Tensors in shared rows: nothing is lost, and sums are of each."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.rules.networks import tensor_rows

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=8).map(tuple)
PROPERTY = hypothesis.settings(max_examples=30, deadline=None, database=None)


def vectors(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n).astype(np.float32) for n in sizes]


@PROPERTY
@hypothesis.given(sizes=SIZES)
def test_what_is_split_is_what_was_joined(sizes):
    rows = tensor_rows.best(sizes)
    expected = vectors(sizes)
    joined = np.asarray(rows.join(expected))
    assert joined.shape == (rows.height, rows.width)
    assert rows.height % rows.block == 0
    for found, vector in zip(rows.split(joined), expected, strict=True):
        np.testing.assert_array_equal(found, vector)
    assert np.sum(rows.mask()) == sum(sizes)
    np.testing.assert_array_equal(joined * rows.mask(), joined)


@PROPERTY
@hypothesis.given(sizes=SIZES)
def test_a_row_has_what_its_tensor_has(sizes):
    rows = tensor_rows.best(sizes)
    values = np.arange(2.0 * len(sizes), dtype=np.float32).reshape(2, -1)
    ones = rows.join([np.ones(n, np.float32) for n in sizes])
    found = rows.spread(tf.constant(values)) * ones
    for i in range(2):
        for vector, value in zip(rows.split(found[i]), values[i], strict=True):
            np.testing.assert_array_equal(vector, value)


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [(40_000,), (2**16,), (300, 2000, 7, 32_000, 0), (5, 3)],
    ids=["padded", "full", "together", "small"],
)
def test_sums_are_of_each_tensor(sizes, is_compiled):
    rows = tensor_rows.best(sizes)
    x, y = vectors(sizes, 0), vectors(sizes, 1)

    def sums():
        entries = {
            "pair": tf.stack([rows.join(x), rows.join(y)]),
            "factor": rows.spread(tf.ones((1, len(sizes)))),
        }
        return rows.sums(products, entries)

    def products(entries):
        (x, y), (factor,) = entries["pair"], entries["factor"]
        return [factor * x * x, x * y]

    found = (tf.function(sums, autograph=False) if is_compiled else sums)()
    expected = [
        [np.dot(a, a) for a in x],
        [np.dot(a, b) for a, b in zip(x, y)],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)


def test_the_largest_lie_by_themselves():
    large = tensor_rows.FEWEST
    sizes = (10, large + 7, 500, *[large] * 5)
    plan = tensor_rows.plan(sizes)
    assert [numbers for numbers, _ in plan] == [
        *((1,), (3,), (4,), (5,)),
        (0, 2, 6, 7),
    ]
    assert all(rows.sizes == tuple(sizes[i] for i in n) for n, rows in plan)


@pytest.mark.parametrize("size", [960_000, 2**20, 3 * 3 * 64 * 128])
def test_a_large_tensor_with_a_good_divisor_is_not_copied(size):
    rows = tensor_rows.best((size,))
    assert rows.is_full
    assert rows.block * rows.width >= tensor_rows.BLOCK // 4
    vector = tf.zeros((size,))
    assert rows.split(rows.join([vector]))[0].shape == (size,)


@pytest.mark.parametrize("sizes", [(2048, 32, 320, 10), (166,) * 60])
def test_few_entries_of_small_ones_are_zeros(sizes):
    rows = tensor_rows.best(sizes)
    assert rows.height * rows.width < 1.3 * sum(sizes)

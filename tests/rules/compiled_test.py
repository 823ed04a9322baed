"""Compiled formulas, one sum a unit, against the matrix products of eager."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.rules import blocks, networks

SHAPES = st.lists(
    st.lists(st.integers(1, 5), max_size=4).map(tuple), min_size=1, max_size=3
)
PROPERTY = hypothesis.settings(max_examples=8, deadline=None, database=None)


def difference(rule, shapes, seed, num_steps=2, jit=None):
    """Largest difference of eager and compiled deltas, and their size."""
    rng = np.random.default_rng(seed)

    def tensors():
        return [
            tf.constant(rng.normal(size=shape).astype(np.float32))
            for shape in shapes
        ]

    theta = {k: tf.constant(v) for k, v in rule.init_theta(seed).items()}
    params = tensors()
    slots = {False: rule.init_slots(theta, params)}
    slots[True] = slots[False]
    compiled = tf.function(rule.update, jit_compile=jit, autograph=False)
    worst = size = 0.0
    for step in range(num_steps):
        grads, deltas = tensors(), {}
        signals = {"step": tf.constant(step)}
        for is_compiled, update in {False: rule.update, True: compiled}.items():
            deltas[is_compiled], slots[is_compiled] = update(
                theta, grads, params, slots[is_compiled], signals
            )
        for eager, other in zip(*deltas.values(), strict=True):
            assert eager.shape == other.shape
            worst = max(worst, np.abs(eager - other).max())
            size = max(size, np.abs(eager).max())
    return worst, size


@pytest.mark.parametrize("name", ["fused", "adafac_mlp"])
@PROPERTY
@hypothesis.given(shapes=SHAPES, seed=st.integers(0, 1000))
def test_both_forms_agree_on_tensors_of_any_shape(name, shapes, seed):
    worst, size = difference(rules.get(name, step_mult=1.0), shapes, seed)
    assert worst <= 1e-4 * max(size, 1.0)


def test_both_forms_agree_on_a_matrix_that_is_unrolled():
    shape = (65, 64)
    assert shape[0] * shape[1] >= networks.SMALL_TENSOR
    rule = rules.get("adafac_mlp", step_mult=1.0)
    worst, size = difference(rule, [shape, (64,)], 0, jit=True)
    assert worst <= 1e-4 * size


WIDEST, FEWEST = networks.UNROLLED_UNITS, networks.UNROLLED_ENTRIES


@pytest.mark.parametrize(
    "units, entries, is_unrolled",
    [
        (WIDEST, FEWEST, True),
        (WIDEST + 1, FEWEST, False),
        (WIDEST, FEWEST - 1, False),
    ],
)
def test_only_narrow_layers_of_many_are_unrolled(
    rng, units, entries, is_unrolled
):
    weights = rng.normal(size=(3, units)).astype(np.float32)
    bias = rng.normal(size=units).astype(np.float32)
    forms = []

    @tf.function
    def outputs(x):
        result = networks.perceptron([(weights, bias)], x)
        forms.append(isinstance(result, list))
        return tf.stack(result)

    x = rng.normal(size=(3, entries)).astype(np.float32)
    found = outputs(x)
    assert forms == [is_unrolled]
    expected = weights.T @ x + bias[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_vector_in_blocks_is_the_vector():
    size = 40_000
    assert blocks.block_size(size) < size
    rule = rules.get("fused", step_mult=1.0)
    worst, norm = difference(rule, [(size // 4, 4)], 0, jit=True)
    assert worst <= 1e-4 * norm


@pytest.mark.parametrize("size", [1, 10**4, 65_537, 10**6, 4 * 10**6])
def test_blocks_divide_a_vector_or_are_none(size):
    block = blocks.block_size(size)
    if block is None:
        assert size < blocks.FEWEST or size == 65_537  # a prime
    else:
        assert size % block == 0 and block % 512
        assert blocks.SMALLEST <= block <= blocks.LARGEST

"""Compiled networks (sums per unit, blocks) against eager matrix products."""

import contextlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.rules.networks import blocks, layers

SHAPES = st.lists(
    st.lists(st.integers(1, 5), max_size=4).map(tuple), min_size=1, max_size=3
)
PROPERTY = hypothesis.settings(max_examples=5, deadline=None, database=None)


def difference(rule, shapes, seed, num_steps=2, jit=None):
    """Largest difference between eager and compiled deltas; largest delta."""
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


@pytest.mark.parametrize("name", ["fused", "adafac_mlp", "scale_free"])
@PROPERTY
@hypothesis.given(shapes=SHAPES, seed=st.integers(0, 1000))
def test_eager_and_compiled_agree_on_tensors_of_any_shape(name, shapes, seed):
    worst, size = difference(rules.get(name, step_mult=1.0), shapes, seed)
    assert worst <= 1e-4 * max(size, 1.0)


@pytest.mark.parametrize("shape, is_cut", [((64, 32), True), ((63, 32), False)])
def test_eager_and_compiled_agree_on_a_small_matrix(shape, is_cut):
    assert bool(blocks.layout(shape, {0, 1})) == is_cut
    rule = rules.get("adafac_mlp", step_mult=1.0)
    worst, size = difference(rule, [shape, (64,)], 0, jit=True)
    assert worst <= 1e-4 * size


WIDEST, FEWEST = layers.UNROLLED_UNITS, layers.UNROLLED_ENTRIES


@pytest.mark.parametrize(
    "units, entries, is_unrolled",
    [
        (WIDEST, FEWEST, True),
        (WIDEST + 1, FEWEST, False),
        (WIDEST, FEWEST - 1, False),
    ],
)
def test_only_narrow_layers_on_many_entries_are_unrolled(
    rng, units, entries, is_unrolled
):
    weights = rng.normal(size=(3, units)).astype(np.float32)
    bias = rng.normal(size=units).astype(np.float32)
    forms = []

    @tf.function
    def outputs(x):
        result = layers.perceptron([(weights, bias)], x)
        forms.append(isinstance(result, list))
        return tf.stack(result)

    x = rng.normal(size=(3, entries)).astype(np.float32)
    found = outputs(x)
    assert forms == [is_unrolled]
    expected = weights.T @ x + bias[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@contextlib.contextmanager
def tiny_blocks():
    """Cuts every tensor that can be cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "FEWEST", 2)
        patch.setattr(blocks, "FEWEST_FACTORED", 2)
        patch.setattr(blocks, "LARGEST", 16)
        patch.setattr(blocks, "LONGEST_ROW", 40)
        patch.setattr(blocks, "LONGEST_PART", 8)
        patch.setattr(blocks, "SMALLEST", 1)
        yield


@pytest.mark.parametrize("units", [4, WIDEST + 1])
@pytest.mark.parametrize("name", ["fused", "mlp", "adafac_mlp"])
@PROPERTY
@hypothesis.given(shapes=SHAPES, seed=st.integers(0, 1000))
def test_tiny_blocks_agree_with_the_whole_tensor(name, units, shapes, seed):
    rule = rules.get(name, step_mult=1.0, hidden_units=units)
    with tiny_blocks():
        worst, size = difference(rule, shapes, seed)
    assert worst <= 1e-4 * max(size, 1.0)


@pytest.mark.parametrize("name", ["fused", "adafac_mlp", "scale_free"])
@pytest.mark.parametrize("shape", [(250, 160), (3, 3, 64, 72), (40_000,)])
def test_large_tensors_in_blocks_agree_with_the_whole_tensor(name, shape):
    rule = rules.get(name, step_mult=1.0)
    worst, norm = difference(rule, [shape], 0, jit=True)
    assert worst <= 1e-4 * norm


@pytest.mark.parametrize(
    "shape, constant, expected",
    [
        ((2000, 2000), {0, 1}, (1, 2000, (2000,), 8)),
        ((2000, 2000), set(), (1, 4000, (1000,), 16)),
        ((4, 8209), set(), (1, 4, (8209,), 1)),  # 8209 is prime.
        ((257, 4099), set(), (1, 257, (4099,), 1)),  # Two primes.
        ((3, 3, 128, 256), {2, 3}, (9, 128, (256,), 64)),
        ((768, 12, 64), {0, 2}, (1, 768, (12, 64), 16)),
        ((64, 12, 768), {0, 2}, (1, 64, (12, 768), 1)),
        ((100, 20_000), {0, 1}, (1, 100, (20_000,), 1)),
        ((10, 70_000), {0, 1}, None),  # Rows do not fit into a cache.
        ((10_007, 64), {0, 1}, None),  # A prime number of short rows.
        ((65_537,), set(), None),  # 65,537 is prime.
        ((64, 32), {0, 1}, (1, 64, (32,), 64)),
        ((63, 32), {0, 1}, None),  # Too small.
        ((2, 16_000), set(), None),
    ],
)
def test_a_tensor_is_cut_into_blocks_that_fit_a_cache(
    shape, constant, expected
):
    found = blocks.layout(shape, constant)
    assert (found and found[:4]) == expected

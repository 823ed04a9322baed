"""The rule contract, for every registered rule."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from tests import small_rules

#: All signals, so that a new rule needs no change here.
SIGNALS = {"horizon": 100, "train_loss": 1.0, "valid_loss": 1.0}


@pytest.fixture(params=rules.names())
def rule(request):
    return small_rules.small_rule(request.param)


def trajectory(rule, theta, tensors, num_steps, update=None):
    """Final deltas, slots and params after `num_steps` steps on L = |p|^2."""
    update = update or rule.update
    params = [tf.constant(p) for p in tensors]
    slots = rule.init_slots(theta, params)
    for step in range(num_steps):
        grads = [2.0 * p for p in params]
        # For a constant loss, velo's features would be rounding errors.
        loss = tf.constant(2.0 - 0.05 * step)
        signals = {"step": tf.constant(step), **SIGNALS, "train_loss": loss}
        deltas, slots = update(theta, grads, params, slots, signals)
        params = [p + d for p, d in zip(params, deltas, strict=True)]
    return deltas, slots, params


def spec(tree):
    return keras.tree.map_structure(
        lambda leaf: (
            tuple(leaf.shape),
            keras.backend.standardize_dtype(leaf.dtype),
        ),
        tree,
    )


def test_config_round_trips(rule):
    copy = rules.get(rule.name, **rule.get_config())
    assert copy == rule
    assert hash(copy) == hash(rule)


def test_theta_is_float32_of_the_declared_shapes(rule):
    theta = rule.init_theta(0)
    assert list(theta) == list(rule.theta_shapes())
    rule.check_theta(theta)


def test_theta_depends_on_the_seed_and_nothing_else(rule):
    first, again, other = (rule.init_theta(seed) for seed in (0, 0, 1))
    for leaf in first:
        np.testing.assert_array_equal(first[leaf], again[leaf])
    if not rule.hand_designed:
        assert any(np.any(first[leaf] != other[leaf]) for leaf in first)


def test_deltas_are_finite_float32_like_their_params(rule, rng, random_tensors):
    tensors = random_tensors(rng)
    deltas, _, _ = trajectory(rule, rule.init_theta(0), tensors, num_steps=3)
    assert len(deltas) == len(tensors)
    for delta, tensor in zip(deltas, tensors, strict=True):
        assert tuple(delta.shape) == tensor.shape
        assert delta.dtype == tf.float32
        assert np.all(np.isfinite(delta))
        assert np.any(delta.numpy() != 0.0)


@pytest.mark.parametrize(
    "shapes",
    [
        [()],
        [(1,), (1, 1)],
        [(1, 5), (5, 1), (1, 1, 4)],
        [(4, 4), (2, 2, 3, 3)],
    ],
    ids=["scalar", "one_entry", "size_1", "square"],
)
def test_deltas_and_slots_are_finite_for_any_shape(rule, rng, shapes):
    tensors = [rng.normal(size=s).astype(np.float32) for s in shapes]
    theta = rule.init_theta(0)
    deltas, slots, _ = trajectory(rule, theta, tensors, num_steps=3)
    for delta, shape in zip(deltas, shapes, strict=True):
        assert tuple(delta.shape) == shape
    for leaf in keras.tree.flatten([deltas, slots]):
        assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize(
    "name", ["mlp", "adafac_mlp", "hierarchical", "velo", "celo"]
)
def test_a_theta_that_follows_the_gradient_descends(name):
    rule = small_rules.small_rule(name, step_mult=0.05)
    theta = small_rules.descending_theta(rule)
    tensors = [np.full((4, 3), 2.0, np.float32), np.full((), -1.0, np.float32)]
    _, _, params = trajectory(rule, theta, tensors, num_steps=30)
    assert np.abs(params[0]).max() < 1.0
    assert np.abs(params[1]) < 0.5


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
def test_deltas_are_finite_for_extreme_gradients(
    rule, rng, random_tensors, scale
):
    theta = rule.init_theta(0)
    params = [tf.constant(p) for p in random_tensors(rng)]
    grads = [scale * p for p in params]
    slots = rule.init_slots(theta, params)
    deltas, slots = rule.update(
        theta, grads, params, slots, {"step": 0, **SIGNALS}
    )
    for tensor in [*deltas, *keras.tree.flatten(slots)]:
        assert np.all(np.isfinite(tensor))


def test_slots_keep_their_structure(rule, rng, random_tensors):
    theta = rule.init_theta(0)
    tensors = random_tensors(rng)
    before = rule.init_slots(theta, tensors)
    _, after, _ = trajectory(rule, theta, tensors, num_steps=2)
    keras.tree.assert_same_structure(before, after)
    assert spec(before) == spec(after)


def test_compiled_and_eager_updates_agree(rule, rng, random_tensors):
    theta, tensors = rule.init_theta(0), random_tensors(rng)
    compiled = tf.function(rule.update, jit_compile=True, autograph=False)
    eager = trajectory(rule, theta, tensors, 5)
    jitted = trajectory(rule, theta, tensors, 5, update=compiled)
    for a, b in zip(keras.tree.flatten(eager), keras.tree.flatten(jitted)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_update_is_pure(rule, rng, random_tensors):
    theta, tensors = rule.init_theta(0), random_tensors(rng)
    first = trajectory(rule, theta, tensors, 2)
    again = trajectory(rule, theta, tensors, 2)
    for a, b in zip(keras.tree.flatten(first), keras.tree.flatten(again)):
        np.testing.assert_array_equal(a, b)


def test_half_precision_inputs_give_float32_deltas(rule, rng, random_tensors):
    theta = rule.init_theta(0)
    params = [tf.cast(p, tf.bfloat16) for p in random_tensors(rng)]
    slots = rule.init_slots(theta, params)
    deltas, _ = rule.update(
        theta, params, params, slots, {"step": 0, **SIGNALS}
    )
    assert {delta.dtype for delta in deltas} == {tf.float32}


def test_per_tensor_rules_update_a_tensor_as_if_alone(
    rule, rng, random_tensors
):
    if not isinstance(rule, rules.PerTensorRule):
        pytest.skip("a rule that mixes tensors")
    theta, tensors = rule.init_theta(0), random_tensors(rng)
    together, _, _ = trajectory(rule, theta, tensors, 3)
    for tensor, expected in zip(tensors, together, strict=True):
        (alone,), _, _ = trajectory(rule, theta, [tensor], 3)
        np.testing.assert_allclose(alone, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda v: v.astype(np.float64), "must be float32.*dtype=float64"),
        (lambda v: np.stack([v, v]), "must have shape .*Received: shape=\\(2"),
        (lambda v: v * np.float32("nan"), "must be finite.*non-finite of"),
    ],
)
def test_check_theta_names_the_bad_leaf(rule, damage, message):
    theta = rule.init_theta(0)
    leaf = list(theta)[-1]
    theta[leaf] = damage(np.ones_like(theta[leaf]))
    with pytest.raises(ValueError, match=f"{leaf}.*{message}"):
        rule.check_theta(theta)


def test_check_theta_names_missing_and_extra_leaves(rule):
    theta = rule.init_theta(0)
    leaf = list(theta)[-1]
    theta["other"] = theta.pop(leaf)
    with pytest.raises(ValueError, match=f"missing=.'{leaf}'.*extra=.'other'"):
        rule.check_theta(theta)


def test_missing_signals_are_named(rule):
    with pytest.raises(ValueError, match="needs the signals.*missing"):
        rule.update(rule.init_theta(0), [], [], [], {})


def test_too_few_slots_are_refused(rule):
    if not isinstance(rule, rules.PerTensorRule):
        pytest.skip("the rule has its own structure of slots")
    theta, params = rule.init_theta(0), [tf.ones((2,)), tf.ones((3,))]
    slots = rule.init_slots(theta, params[:1])
    with pytest.raises(ValueError, match="shorter"):
        rule.update(theta, params, params, slots, {"step": 0, **SIGNALS})


def test_slots_of_per_tensor_rules_are_vectors_of_entries(
    rule, random_tensors, rng
):
    is_shaped = isinstance(rule, rules.ShapedTensorRule)
    if is_shaped or not isinstance(rule, rules.PerTensorRule):
        pytest.skip("the rule has its own structure of slots")
    tensors = random_tensors(rng)
    slots = rule.init_slots(rule.init_theta(0), tensors)
    assert len(slots) == len(tensors)
    for tensor, tensor_slots in zip(tensors, slots, strict=True):
        for leaf in keras.tree.flatten(tensor_slots):
            assert leaf.shape[-1] == math.prod(tensor.shape)

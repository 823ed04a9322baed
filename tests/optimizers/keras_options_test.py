"""Keras options that tests/conformance does not cover."""

import dataclasses
import inspect
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_lopt import LearnedOptimizer, rules

START = [np.float32([[1.0, -2.0], [0.5, 3.0]]), np.float32([0.1, -0.2])]
GRADS = [np.float32([[3.0, -1.0], [0.2, 4.0]]), np.float32([-2.0, 0.5])]
OTHER = [np.float32([[-1.0, 1.0], [2.0, 0.1]]), np.float32([0.3, 0.7])]


def train(rule, theta, steps, start=START, **kwargs):
    """Variables and optimizer after `steps`, a list of lists of gradients."""
    variables = [keras.Variable(p, name=f"v{i}") for i, p in enumerate(start)]
    optimizer = LearnedOptimizer(rule, theta, **kwargs)
    for grads in steps:
        grads = [g if g is None else tf.convert_to_tensor(g) for g in grads]
        optimizer.apply(grads, variables)
    return [v.numpy() for v in variables], optimizer


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_learning_rate_multiplies_the_delta(fused, theta):
    whole, _ = train(fused, theta, [GRADS])
    half, _ = train(fused, theta, [GRADS], learning_rate=0.5)
    assert_equal(half, [(p + w) / 2 for p, w in zip(START, whole)])


# Variables without a gradient.


def test_a_variable_without_gradient_does_not_change(fused, theta):
    alone, _ = train(fused, theta, [GRADS[:1], OTHER[:1]], start=START[:1])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        found, optimizer = train(
            fused, theta, [[GRADS[0], None], [OTHER[0], None]]
        )
    assert_equal(found, [*alone, START[1]])
    for slot in optimizer.variables:
        if slot.name.startswith("slot_1"):
            np.testing.assert_array_equal(slot, np.zeros(slot.shape))


@dataclasses.dataclass(frozen=True)
class MixingRule(rules.Rule):
    """Every entry moves by the number of tensors and the sum of gradients."""

    name: ClassVar[str] = "mixing"

    def theta_shapes(self):
        return {"scale": ()}

    def init_slots(self, theta, params):
        return {"count": ops.zeros(())}

    def update(self, theta, grads, params, slots, signals):
        total = sum(ops.sum(grad) for grad in grads)
        move = theta["scale"] * (len(grads) + total)
        deltas = [ops.zeros_like(p) + move for p in params]
        return deltas, {"count": slots["count"] + 1.0}


def test_a_rule_that_mixes_tensors_sees_zeros_for_missing_gradients():
    theta = {"scale": np.float32(1.0)}
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        found, optimizer = train(MixingRule(), theta, [[None, OTHER[1]]])
    assert_equal(found, [START[0], START[1] + 2.0 + np.sum(OTHER[1])])
    assert float(optimizer.variables[-1]) == 1.0


def test_the_order_of_the_variables_does_not_matter(fused, theta):
    expected, _ = train(fused, theta, [GRADS, OTHER])
    variables = [keras.Variable(p) for p in START]
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.apply([tf.constant(g) for g in GRADS], variables)
    optimizer.apply([tf.constant(g) for g in OTHER[::-1]], variables[::-1])
    assert_equal(variables, expected)


# Precision.


def test_float64_variables_keep_their_digits(fused, theta):
    variable = keras.Variable([1.0 + 1e-12], dtype="float64")
    optimizer = LearnedOptimizer(fused, theta, learning_rate=0.0)
    optimizer.apply([tf.constant([1.0], tf.float64)], [variable])
    assert float(variable[0]) == 1.0 + 1e-12


def _stateful_model():
    """A GRU that keeps its state between batches, and moving statistics."""
    keras.utils.set_random_seed(0)
    has_renorm = (
        "renorm"
        in inspect.signature(keras.layers.BatchNormalization).parameters
    )
    return keras.Sequential(
        [
            keras.Input(batch_shape=(4, 3, 2)),
            keras.layers.GRU(3, stateful=True),
            keras.layers.BatchNormalization(
                **({"renorm": True} if has_renorm else {})
            ),
            keras.layers.Dense(1),
        ]
    )


def test_stateful_layers_train_the_same_compiled_and_eagerly(fused, theta, rng):
    x = rng.normal(size=(16, 3, 2)).astype(np.float32)
    ways = []
    for how in ({"run_eagerly": True}, {"jit_compile": True}):
        model = _stateful_model()
        start = [np.array(v) for v in model.variables]
        model.compile(LearnedOptimizer(fused, theta), loss="mse", **how)
        model.fit(x, x[:, 0, :1], batch_size=4, shuffle=False, verbose=0)
        ways.append(model)
    for eager, compiled, before in zip(
        ways[0].variables, ways[1].variables, start, strict=True
    ):
        np.testing.assert_allclose(eager, compiled, rtol=1e-3, atol=1e-5)
        if "seed_generator" not in eager.path:
            assert np.any(np.array(eager) != before), eager.path

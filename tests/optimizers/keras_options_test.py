"""What Keras does around the rule: clipping, decay, EMA, accumulation, ..."""

import dataclasses
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


def as_float32(variable):
    return ops.convert_to_numpy(ops.cast(variable, "float32"))


def by_norm(grads, limit):
    return [g * min(1.0, limit / np.linalg.norm(g)) for g in grads]


def by_global_norm(grads, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in grads))
    return [g * min(1.0, limit / norm) for g in grads]


def by_value(grads, limit):
    return [np.clip(g, -limit, limit) for g in grads]


@pytest.mark.parametrize(
    "option, clip",
    [
        ("clipnorm", by_norm),
        ("global_clipnorm", by_global_norm),
        ("clipvalue", by_value),
    ],
)
def test_the_rule_gets_clipped_gradients(fused, theta, option, clip):
    clipped = [clip(GRADS, 0.7), clip(OTHER, 0.7)]
    expected, _ = train(fused, theta, clipped)
    found, _ = train(fused, theta, [GRADS, OTHER], **{option: 0.7})
    assert_equal(found, expected)


def test_weight_decay_comes_before_the_rule(fused, theta):
    decayed = [0.75 * p for p in START]  # 1 - weight_decay * learning_rate
    expected, _ = train(fused, theta, [GRADS], start=decayed, learning_rate=0.5)
    found, _ = train(fused, theta, [GRADS], learning_rate=0.5, weight_decay=0.5)
    assert_equal(found, expected)


def test_weight_decay_spares_the_excluded(fused, theta):
    variables = [keras.Variable(p, name=f"v{i}") for i, p in enumerate(START)]
    optimizer = LearnedOptimizer(fused, theta, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["v1"])
    optimizer.apply([tf.constant(g) for g in GRADS], variables)
    plain, _ = train(fused, theta, [GRADS])
    decayed, _ = train(fused, theta, [GRADS], weight_decay=0.5)
    assert_equal(variables, [decayed[0], plain[1]])


def test_the_learning_rate_multiplies_the_delta(fused, theta):
    whole, _ = train(fused, theta, [GRADS])
    half, _ = train(fused, theta, [GRADS], learning_rate=0.5)
    assert_equal(half, [(p + w) / 2 for p, w in zip(START, whole)])


def test_a_schedule_multiplies_the_delta_of_its_step(fused, theta):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries=[0], values=[1.0, 0.0]
    )
    expected, _ = train(fused, theta, [GRADS])
    found, _ = train(fused, theta, [GRADS, OTHER], learning_rate=schedule)
    assert_equal(found, expected)


def test_ema_averages_and_finalises(fused, theta):
    first, _ = train(fused, theta, [GRADS])
    second, _ = train(fused, theta, [GRADS, OTHER])
    average = [0.8 * a + 0.2 * b for a, b in zip(first, second)]
    found, optimizer = train(
        fused, theta, [GRADS, OTHER], use_ema=True, ema_momentum=0.8
    )
    assert_equal(found, second)
    assert_equal(optimizer._model_variables_moving_average, average)
    variables = optimizer._trainable_variables
    optimizer.finalize_variable_values(variables)
    assert_equal(variables, average)


def test_ema_overwrites_on_schedule(fused, theta):
    first, _ = train(fused, theta, [GRADS])
    second, _ = train(fused, theta, [GRADS, OTHER])
    average = [0.8 * a + 0.2 * b for a, b in zip(first, second)]
    found, _ = train(
        fused,
        theta,
        [GRADS, OTHER],
        use_ema=True,
        ema_momentum=0.8,
        ema_overwrite_frequency=2,
    )
    assert_equal(found, average)


@pytest.mark.parametrize("name", ["fused", "adam"])
def test_accumulated_gradients_are_one_step_of_their_mean(name):
    rule = rules.get(name)
    theta = rule.init_theta(0)
    mean = [(a + b) / 2 for a, b in zip(GRADS, OTHER)]
    expected, _ = train(rule, theta, [mean, mean])
    found, optimizer = train(
        rule, theta, 2 * [GRADS, OTHER], gradient_accumulation_steps=2
    )
    assert_equal(found, expected)
    assert int(optimizer.iterations) == 2  # What the rule sees as `step`.


def test_the_loss_scale_is_divided_out(fused, theta):
    expected, _ = train(fused, theta, [GRADS])
    scaled = [8.0 * g for g in GRADS]
    found, _ = train(fused, theta, [scaled], loss_scale_factor=8.0)
    assert_equal(found, expected)


def test_constraints_hold_after_the_step(fused, theta):
    variable = keras.Variable(START[0])
    variable.constraint = keras.constraints.NonNeg()
    LearnedOptimizer(fused, theta).apply([tf.constant(GRADS[0])], [variable])
    assert np.min(variable) == 0.0
    assert np.max(variable) > 0.0


def test_sparse_gradients_are_their_dense_equals(fused, theta):
    table = np.ones((4, 2), np.float32)
    sparse = tf.IndexedSlices(
        values=tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        indices=tf.constant([2, 0, 2]),
        dense_shape=tf.constant([4, 2]),
    )
    dense = np.float32([[3, 4], [0, 0], [6, 8], [0, 0]])
    expected, _ = train(fused, theta, [[dense]], start=[table], clipnorm=1.0)
    variable = keras.Variable(table)
    optimizer = LearnedOptimizer(fused, theta, clipnorm=1.0)
    optimizer.apply([sparse], [variable])
    assert_equal([variable], expected)


# Variables that get no gradient.


def test_a_variable_without_gradient_takes_no_part(fused, theta):
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


def test_a_rule_that_mixes_tensors_sees_zeros_for_absent_gradients():
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


def test_a_layer_frozen_after_the_start_stays(
    fused, theta, make_model, regression
):
    model = make_model()
    optimizer = LearnedOptimizer(fused, theta)
    model.compile(optimizer, loss="mse", run_eagerly=True)
    model.fit(*regression, verbose=0)
    model.layers[0].trainable = False
    frozen = [v.numpy() for v in model.layers[0].variables]
    free = [v.numpy() for v in model.layers[1].variables]
    model.fit(*regression, verbose=0)
    for variable, value in zip(model.layers[0].variables, frozen):
        np.testing.assert_array_equal(variable, value)
    for variable, value in zip(model.layers[1].variables, free):
        assert np.all(variable.numpy() != value)


# Precision.


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_variables_of_any_precision_get_a_float32_update(fused, theta, dtype):
    variables = [keras.Variable(p, dtype=dtype) for p in START]
    rounded = [as_float32(v) for v in variables]
    grads = [tf.cast(g, dtype) for g in GRADS]
    expected, _ = train(
        fused, theta, [[tf.cast(g, "float32") for g in grads]], start=rounded
    )
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.apply(grads, variables)
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-6}[dtype]
    for variable, value in zip(variables, expected):
        assert variable.dtype == dtype
        np.testing.assert_allclose(as_float32(variable), value, rtol=tolerance)
    slots = [v for v in optimizer.variables if v.name.startswith("slot")]
    assert {slot.dtype for slot in slots} == {"float32"}


def test_float64_variables_keep_their_digits(fused, theta):
    variable = keras.Variable([1.0 + 1e-12], dtype="float64")
    optimizer = LearnedOptimizer(fused, theta, learning_rate=0.0)
    optimizer.apply([tf.constant([1.0], tf.float64)], [variable])
    assert float(variable[0]) == 1.0 + 1e-12

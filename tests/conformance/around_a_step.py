"""Columns of the table: what Keras does before and after one eager `apply`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import optimizers
from tests.conformance.cases import (
    LOSSES,
    START,
    STEPS,
    apply,
    apply_to,
    assert_equal,
    differ,
)


def custom_loop(case):
    variables = [keras.Variable(p) for p in START]
    optimizer = case.optimizer()
    for target in (0.5, -0.5):
        with tf.GradientTape() as tape:
            loss = sum(tf.reduce_sum((v - target) ** 2) for v in variables)
            scaled = optimizer.scale_loss(loss)
        grads = tape.gradient(scaled, [v.value for v in variables])
        optimizer.apply_gradients(zip(grads, variables))

    def step(target):
        def grads(params):
            loss = sum(tf.reduce_sum((p - target) ** 2) for p in params)
            return [2.0 * (p - target) for p in params], loss

        return grads

    expected = case.by_hand([step(0.5), step(-0.5)])
    assert_equal(variables, expected)
    assert int(optimizer.iterations) == 2


def learning_rate_schedule(case):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries=[0], values=[1.0, 4.0]
    )
    found = apply(case.optimizer(learning_rate=schedule))
    assert_equal(found, case.by_hand(rates=[1.0, 4.0]))


def _clips(case, option, clip, limit=0.7):
    found = apply(case.optimizer(**{option: limit}))
    clipped = [clip(grads, limit) for grads in STEPS]
    assert differ(clipped[0], STEPS[0])
    assert_equal(found, case.by_hand(clipped))


def clipnorm(case):
    def clip(grads, limit):
        return [g * min(1.0, limit / np.linalg.norm(g)) for g in grads]

    _clips(case, "clipnorm", clip)


def global_clipnorm(case):
    def clip(grads, limit):
        norm = np.sqrt(sum(np.sum(g**2) for g in grads))
        return [g * min(1.0, limit / norm) for g in grads]

    _clips(case, "global_clipnorm", clip)


def clipvalue(case):
    def clip(grads, limit):
        return [np.clip(g, -limit, limit) for g in grads]

    _clips(case, "clipvalue", clip)


def weight_decay_with_exclusions(case):
    optimizer = case.optimizer(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["v1"])
    found = apply(optimizer, STEPS[:1], losses=LOSSES[:1])
    decayed = [(1.0 - 0.1 * 3.0) * START[0], START[1]]
    assert_equal(found, case.by_hand(STEPS[:1], decayed))


def ema(case):
    first = case.by_hand(STEPS[:1])
    second = case.by_hand()
    average = [0.8 * a + 0.2 * b for a, b in zip(first, second)]
    options = {"use_ema": True, "ema_momentum": 0.8}
    optimizer = case.optimizer(**options)
    found = apply(optimizer)
    assert_equal(found, second)
    optimizer.finalize_variable_values(found)
    assert_equal(found, average)
    found = apply(case.optimizer(**options, ema_overwrite_frequency=2))
    assert_equal(found, average)
    assert differ(average, second)


def gradient_accumulation(case):
    optimizer = case.optimizer(gradient_accumulation_steps=2)
    found = apply(optimizer, STEPS * 2, losses=[2.0, 1.0, 1.5, 0.5])
    mean = [(a + b) / 2 for a, b in zip(*STEPS)]
    assert_equal(found, case.by_hand([mean, mean], losses=[1.5, 1.0]))
    assert int(optimizer.iterations) == 2  # What the rule sees as `step`.


def loss_scale_factor(case):
    optimizer = case.optimizer(loss_scale_factor=8.0)
    scaled = [[8.0 * g for g in grads] for grads in STEPS]
    assert_equal(apply(optimizer, scaled), case.by_hand())
    assert float(optimizer.scale_loss(tf.constant(2.0))) == 16.0


def _of_precision(case, dtype, rtol):
    optimizer = case.optimizer()
    found = apply(optimizer, STEPS[:1], losses=LOSSES[:1], dtype=dtype)
    assert {v.dtype for v in found} == {dtype}
    assert {v.dtype for v in optimizer._slots.flat()} <= {"float32"}
    rounded = [tf.cast(tf.cast(p, dtype), "float32") for p in START]
    grads = [tf.cast(tf.cast(g, dtype), "float32") for g in STEPS[0]]
    assert_equal(found, case.by_hand([grads], rounded), rtol, atol=rtol)


def bfloat16_variables(case):
    _of_precision(case, "bfloat16", rtol=1e-2)


def float16_variables(case):
    _of_precision(case, "float16", rtol=2e-3)


def sparse_gradients(case):
    table = np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(4, 2)
    sparse = tf.IndexedSlices(
        values=tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        indices=tf.constant([2, 0, 2]),
        dense_shape=tf.constant([4, 2]),
    )
    dense = np.float32([[3, 4], [0, 0], [6, 8], [0, 0]])
    optimizer = case.optimizer()
    found = apply(optimizer, [[sparse]], [table], LOSSES[:1])
    assert_equal(found, case.by_hand([[dense]], [table]), start=[table])


def none_gradients(case):
    """A variable without gradient does not change; mixing rules see zeros."""
    steps = [[grads[0], None] for grads in STEPS]
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        found = apply(case.optimizer(), steps)
    zeros = [[grads[0], np.zeros_like(grads[1])] for grads in STEPS]
    still = case.optimizer()
    variables = [keras.Variable(p) for p in START]
    for grads, loss in zip(zeros, LOSSES):
        apply_to(still, variables, [grads], [loss])
        variables[1].assign(START[1])
    np.testing.assert_array_equal(found[1], START[1])
    assert_equal(found, variables)


def variable_constraints(case):
    variables = [keras.Variable(p) for p in START]
    variables[0].constraint = keras.constraints.NonNeg()
    apply_to(case.optimizer(), variables, STEPS[:1], LOSSES[:1])
    expected = case.by_hand(STEPS[:1])
    assert np.min(expected[0]) < 0.0
    expected[0] = np.maximum(expected[0], 0.0)
    assert_equal(variables, expected)


def two_optimizers(case):
    """Two optimizers in turns do what each does alone."""
    optimizers_ = [case.optimizer(), case.optimizer(learning_rate=1.0)]
    trained = [[keras.Variable(p) for p in START] for _ in optimizers_]
    for grads, loss in zip(STEPS, LOSSES):
        for optimizer, variables in zip(optimizers_, trained):
            apply_to(optimizer, variables, [grads], [loss])
    assert_equal(trained[0], case.by_hand())
    assert_equal(trained[1], case.by_hand(rates=[1.0, 1.0]))


def multi_optimizer(case):
    both = optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            case.optimizer(), {"v1": keras.optimizers.SGD(0.5)}
        )
    )
    variables = [keras.Variable(p, name=f"v{i}") for i, p in enumerate(START)]
    both.build(variables)
    apply_to(both, variables)
    (kernel,) = case.by_hand([g[:1] for g in STEPS], START[:1])
    bias = START[1] - 0.5 * (STEPS[0][1] + STEPS[1][1])
    assert_equal(variables, [kernel, bias])


COLUMNS = [
    custom_loop,
    learning_rate_schedule,
    clipnorm,
    global_clipnorm,
    clipvalue,
    weight_decay_with_exclusions,
    ema,
    gradient_accumulation,
    loss_scale_factor,
    bfloat16_variables,
    float16_variables,
    sparse_gradients,
    none_gradients,
    variable_constraints,
    two_optimizers,
    multi_optimizer,
]

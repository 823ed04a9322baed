"""Columns of the table: extreme and invalid inputs, eagerly."""

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
    values,
)


def float16_overflow(case):
    """A step beyond the range of float16 ends at the largest number."""
    start = [np.float16([[1.0, -1.0]])]
    grads = [[np.float32([[1.0, -1.0]])]]
    optimizer = case.optimizer(learning_rate=1e12)
    (found,) = apply(optimizer, grads, start, LOSSES[:1], dtype="float16")
    assert np.all(np.isfinite(values([found])[0]))
    assert np.max(np.abs(values([found])[0])) == 65504.0


def divergence_guard(case):
    """A step with a NaN changes nothing but the counters."""
    guard = optimizers.DivergenceGuard(max_update=1e3, patience=2)
    optimizer = case.optimizer(guard=guard, weight_decay=0.1)
    plain = case.optimizer(weight_decay=0.1)
    variables, others = ([keras.Variable(p) for p in START] for _ in range(2))
    apply_to(optimizer, variables, STEPS[:1], LOSSES[:1])
    apply_to(plain, others, STEPS[:1], LOSSES[:1])
    slots = [np.array(v) for v in optimizer._slots.flat()]
    broken = [STEPS[1][0] * np.nan, STEPS[1][1]]
    apply_to(optimizer, variables, [broken], [1.0])
    assert_equal(variables, others, rtol=0, atol=0)
    for slot, value in zip(optimizer._slots.flat(), slots, strict=True):
        np.testing.assert_array_equal(slot, value)
    assert optimizer.guard_report()["skipped"] == 1
    plain.iterations.assign_add(1)
    apply_to(optimizer, variables, STEPS[1:], LOSSES[1:])
    apply_to(plain, others, STEPS[1:], LOSSES[1:])
    assert_equal(variables, others)
    assert optimizer.guard_report()["in_a_row"] == 0


def refused_variables(case):
    for value, message in (
        (np.int32([1]), "real floating point.*int32"),
        (np.complex64([1]), "real floating point.*complex64"),
        (np.ones((3, 0), np.float32), "at least one entry"),
    ):
        with pytest.raises(ValueError, match=message):
            case.optimizer().build([tf.Variable(value)])


def rank_5(case):
    """Rank 5 is trained, or refused before anything is created."""
    start = [np.full((2, 1, 1, 2, 1), 0.5, np.float32)]
    grads = [[np.ones_like(start[0])]]
    try:
        found = apply(case.optimizer(), grads, start, LOSSES[:1])
    except ValueError as error:
        assert case.rule.name in str(error) and "rank" in str(error)
        return
    assert_equal(found, case.by_hand(grads, start), start=start)


COLUMNS = [
    float16_overflow,
    divergence_guard,
    refused_variables,
    rank_5,
]

"""The divergence guard: what it skips, when it gives up, what it reports."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_lopt import LearnedOptimizer, rules
from keras_lopt.optimizers import DivergenceGuard, ReportGuard


@dataclasses.dataclass(frozen=True)
class ScaleRule(rules.PerTensorRule):
    """The delta is the gradient; the slot is the gradient squared."""

    name: ClassVar[str] = "scale"

    def theta_shapes(self):
        return {}

    def init_theta(self, seed):
        return {}

    def init_tensor_slots(self, theta, size):
        return {"square": ops.zeros((size,))}

    def update_tensor(self, theta, grad, param, slots, signals):
        return grad, {"square": grad * grad}


def guarded(**kwargs):
    """An optimizer with a guard, and its one variable [0, 0]."""
    optimizer = LearnedOptimizer(
        ScaleRule(), {}, guard=DivergenceGuard(**kwargs)
    )
    variable = keras.Variable([0.0, 0.0])
    optimizer.build([variable])
    return optimizer, variable


def apply(optimizer, variable, *steps):
    for grad in steps:
        optimizer.apply([tf.constant(grad, tf.float32)], [variable])
    return variable.numpy().tolist()


@pytest.mark.parametrize(
    "grad",
    [[np.nan, 1.0], [np.inf, 1.0], [20.0, 1.0], [-20.0, 1.0]],
    ids=["nan", "inf", "large", "negative"],
)
def test_a_ruinous_step_is_skipped_and_counted(grad):
    optimizer, variable = guarded(max_update=10.0)
    assert apply(optimizer, variable, [1.0, 2.0], grad) == [1.0, 2.0]
    (slot,) = optimizer._slots.flat()
    assert slot.numpy().tolist() == [1.0, 4.0]
    assert apply(optimizer, variable, [1.0, 0.0]) == [2.0, 2.0]
    assert optimizer.guard_report() == {
        "skipped": 1,
        "in_a_row": 0,
        "fallen_back": False,
        "fallback_steps": 0,
    }
    assert int(optimizer.iterations) == 3


def test_a_slot_that_overflows_is_not_kept():
    optimizer, variable = guarded(max_update=None)
    assert apply(optimizer, variable, [1e25, 0.0]) == [0.0, 0.0]
    assert optimizer.guard_report()["skipped"] == 1
    assert apply(optimizer, variable, [1e15, 0.0]) == [np.float32(1e15), 0.0]


def test_after_too_many_skipped_steps_it_does_clipped_descent():
    optimizer, variable = guarded(patience=2, fallback_rate=0.5)
    bad = [3e30, 4e30]  # Its squares overflow.
    assert apply(optimizer, variable, bad, [1.0, 1.0], bad) == [1.0, 1.0]
    assert not optimizer.guard_report()["fallen_back"]
    assert apply(optimizer, variable, bad) == [1.0, 1.0]
    assert optimizer.guard_report()["fallen_back"]
    np.testing.assert_allclose(apply(optimizer, variable, bad), [0.7, 0.6])
    np.testing.assert_allclose(
        apply(optimizer, variable, [0.2, 0.0]), [0.6, 0.6], rtol=1e-6
    )
    apply(optimizer, variable, [np.nan, 0.0])
    report = optimizer.guard_report()
    assert (report["fallback_steps"], report["skipped"]) == (2, 4)
    np.testing.assert_allclose(variable, [0.6, 0.6], rtol=1e-6)
    (slot,) = optimizer._slots.flat()
    assert slot.numpy().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("accumulation", [None, 2])
@pytest.mark.parametrize("jit_compile", [True, False])
def test_fit_skips_falls_back_and_warns_once(accumulation, jit_compile):
    optimizer = LearnedOptimizer(
        ScaleRule(),
        {},
        guard=DivergenceGuard(patience=2),
        gradient_accumulation_steps=accumulation,
        weight_decay=0.1,
    )
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", jit_compile=jit_compile)
    start = model.get_weights()
    x, y = np.full((8, 2), np.nan), np.zeros((8, 1))
    run = {"batch_size": 2, "verbose": 0, "callbacks": [ReportGuard()]}
    with pytest.warns(UserWarning, match="gave up on rule 'scale': 2 steps"):
        history = model.fit(x, y, **run).history
    skipped = 4 // (accumulation or 1)
    assert history["guard_skipped"] == [skipped]
    assert optimizer.guard_report()["fallen_back"]
    for value, before in zip(model.get_weights(), start):
        np.testing.assert_array_equal(value, before)
    model.fit(np.ones((8, 2)), y, **run)  # A second warning would be an error.
    assert optimizer.guard_report()["fallback_steps"] == skipped
    assert np.all(np.isfinite(model.get_weights()[0]))


def test_fit_warns_at_its_end_without_the_callback():
    optimizer, _ = guarded(patience=1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = LearnedOptimizer(
        ScaleRule(), {}, guard=DivergenceGuard(patience=1)
    )
    model.compile(optimizer, loss="mse", run_eagerly=True)
    with pytest.warns(UserWarning, match=r"gave up.*'skipped': 1"):
        model.fit(np.full((2, 2), np.inf), np.zeros((2, 1)), verbose=0)


def test_the_counters_are_part_of_the_optimizer_state(tmp_path):
    optimizer, variable = guarded(patience=2)
    apply(optimizer, variable, [np.nan, 0.0])
    other, _ = guarded(patience=2)
    other.set_weights([v.numpy() for v in optimizer.variables])
    assert other.guard_report() == optimizer.guard_report()


def test_without_a_guard_there_is_no_report(fused, theta):
    assert LearnedOptimizer(fused, theta).guard_report() is None


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"max_update": 0.0}, "`max_update` must be a finite.*=0.0"),
        ({"max_update": float("nan")}, "`max_update` must be a finite.*=nan"),
        ({"patience": 0}, "`patience` must be an integer >= 1.*=0"),
        ({"patience": 1.5}, "`patience` must be an integer >= 1.*=1.5"),
        ({"fallback_rate": -1.0}, "`fallback_rate` must be a finite.*=-1.0"),
    ],
)
def test_bad_settings_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        DivergenceGuard(**kwargs)


def test_the_guard_must_be_a_divergence_guard(fused, theta):
    with pytest.raises(ValueError, match="`guard` must be a.*guard=True"):
        LearnedOptimizer(fused, theta, guard=True)

"""The signals that LearnedOptimizer passes to its rule."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_lopt import LearnedOptimizer, rules


@dataclasses.dataclass(frozen=True)
class PlanningRule(rules.PerTensorRule):
    """The delta is the step plus the horizon; there are no slots."""

    name: ClassVar[str] = "planning"
    required_signals: ClassVar[tuple[str, ...]] = ("step", "horizon")

    def theta_shapes(self):
        return {}

    def init_tensor_slots(self, theta, size):
        return {}

    def update_tensor(self, theta, grad, param, slots, signals):
        step = ops.cast(signals["step"], "float32")
        horizon = ops.cast(signals["horizon"], "float32")
        return ops.zeros_like(param) + step + horizon, slots


@dataclasses.dataclass(frozen=True)
class ValidatingRule(PlanningRule):
    name: ClassVar[str] = "validating"
    required_signals: ClassVar[tuple[str, ...]] = ("step", "valid_loss")


def test_the_step_counts_from_zero_and_the_horizon_is_constant():
    variable = keras.Variable([0.0])
    optimizer = LearnedOptimizer(PlanningRule(), {}, horizon=np.int64(100))
    for expected in (100.0, 201.0, 303.0):
        optimizer.apply([tf.ones(1)], [variable])
        assert float(variable[0]) == expected


@dataclasses.dataclass(frozen=True)
class PerhapsPlanningRule(PlanningRule):
    name: ClassVar[str] = "perhaps planning"
    required_signals: ClassVar[tuple[str, ...]] = ("step",)
    optional_signals: ClassVar[tuple[str, ...]] = ("horizon",)


def test_a_horizon_that_is_an_option_is_0_until_it_is_known():
    variable = keras.Variable([0.0])
    optimizer = LearnedOptimizer(PerhapsPlanningRule(), {})
    for expected in (0.0, 1.0):
        optimizer.apply([tf.ones(1)], [variable])
        assert float(variable[0]) == expected
    optimizer.horizon = 10
    optimizer.apply([tf.ones(1)], [variable])
    assert float(variable[0]) == 1.0 + 2.0 + 10.0
    optimizer.horizon = 1
    with pytest.warns(UserWarning, match="3 updates.*horizon=1 "):
        optimizer.finalize_variable_values([variable])


def test_a_rule_that_plans_needs_the_horizon():
    variable = keras.Variable([0.0])
    optimizer = LearnedOptimizer(PlanningRule(), {})
    with pytest.raises(
        ValueError, match="'planning' plans.*InferHorizon.*horizon=None"
    ):
        optimizer.apply([tf.ones(1)], [variable])
    assert float(variable[0]) == 0.0
    optimizer.horizon = 5
    optimizer.apply([tf.ones(1)], [variable])
    assert float(variable[0]) == 5.0


def test_a_rule_that_needs_an_unavailable_signal_is_refused():
    with pytest.raises(
        ValueError,
        match=r"Rule 'validating' needs the signals \['valid_loss'\].*'fused'",
    ):
        LearnedOptimizer(ValidatingRule(), {})


def collected(rule, horizon, train_loss=None):
    """Names of the signals that a rule gets."""
    optimizer = LearnedOptimizer(rule, rule.init_theta(0), horizon=horizon)
    return set(optimizer._signals.collect(3, train_loss))


def test_a_rule_gets_the_signals_that_it_lists(fused):
    assert collected(fused, 10) == {"step"}
    assert collected(fused, None, 0.5) == {"step", "train_loss"}
    rule = rules.get("velo", lstm_units=8, bank_size=3)
    assert collected(rule, None) == {"step", "horizon"}
    assert collected(rules.get("hierarchical"), 7) == {"step", "valid_loss"}

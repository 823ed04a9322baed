"""The signals that LearnedOptimizer passes to its rule."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_lopt import LearnedOptimizer, rules
from keras_lopt.optimizers import signals


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
        return ops.zeros_like(param) + step + signals["horizon"], slots


@dataclasses.dataclass(frozen=True)
class ValidatingRule(PlanningRule):
    name: ClassVar[str] = "validating"
    required_signals: ClassVar[tuple[str, ...]] = ("step", "valid_loss")


def test_the_step_counts_from_zero_and_the_horizon_stays():
    variable = keras.Variable([0.0])
    optimizer = LearnedOptimizer(PlanningRule(), {}, horizon=np.int64(100))
    for expected in (100.0, 201.0, 303.0):
        optimizer.apply([tf.ones(1)], [variable])
        assert float(variable[0]) == expected


def test_a_rule_that_plans_needs_the_horizon():
    with pytest.raises(
        ValueError, match="`horizon` must be its number of steps.*=None"
    ):
        LearnedOptimizer(PlanningRule(), {})


def test_a_rule_that_needs_what_is_not_there_is_answered_with_others():
    with pytest.raises(
        ValueError,
        match=r"Rule 'validating' needs the signals \['valid_loss'\].*'fused'",
    ):
        LearnedOptimizer(ValidatingRule(), {})


def test_a_horizon_that_is_not_given_is_not_a_signal():
    assert set(signals.collect(3, None)) == {"step"}
    assert set(signals.collect(3, 10)) == {"step", "horizon"}


def test_a_loss_that_is_not_there_is_not_a_signal():
    assert signals.collect(3, None, 0.5)["train_loss"] == 0.5
    assert "train_loss" not in signals.collect(3, 10, None)

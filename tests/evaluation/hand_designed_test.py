"""Baselines: their learning rates, and which of them Keras has."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.evaluation import hand_designed
from keras_lopt.evaluation.hand_designed import BASELINES, Schedule


def test_the_grid_has_14_half_decades():
    assert len(hand_designed.RATES) == 14
    ratios = np.diff(np.log10(hand_designed.RATES))
    np.testing.assert_allclose(ratios, 0.5)


@pytest.mark.parametrize("step", [0, 3, 10, 12])
def test_the_cosine_is_that_of_keras_and_its_peak_can_change(step):
    schedule = Schedule(10)
    for peak in (0.5, 2.0):
        schedule.peak.assign(peak)
        expected = keras.optimizers.schedules.CosineDecay(peak, 10)(step)
        found = schedule(tf.constant(step))
        assert float(found) == pytest.approx(float(expected), abs=1e-7)


def test_a_changed_rate_needs_no_new_compilation():
    optimizer, set_rate = BASELINES["adam"].make(num_steps=5)
    variable = keras.Variable(np.zeros(1, np.float32))
    optimizer.build([variable])
    traces = []

    @tf.function(jit_compile=True)
    def step():
        traces.append(1)
        optimizer.apply([tf.ones(1)])

    for rate in (0.5, 0.25):
        before = float(variable[0])
        set_rate(rate)
        step()
        assert before - float(variable[0]) == pytest.approx(rate, rel=1e-3)
    assert len(traces) == 1


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_that_keras_has_is_made_and_described(name):
    baseline = BASELINES[name]
    if baseline.is_available:
        optimizer, set_rate = baseline.make(num_steps=5)
        set_rate(0.5)
        assert float(optimizer.learning_rate) == pytest.approx(0.5)
        assert "learning_rate" not in baseline.describe()["config"]


def test_baselines_that_keras_lacks_are_named(monkeypatch):
    monkeypatch.delattr(keras.optimizers, "Muon", raising=False)
    found, missing = hand_designed.check_baselines(["adam", "muon"])
    assert [b.name for b in found] == ["adam"] and missing == ["muon"]


@pytest.mark.parametrize("names", [(), ("lion",), ("adam", "adm"), "adam"])
def test_bad_baselines_are_refused(names):
    with pytest.raises(ValueError, match="`baselines` must be a list of 'adam"):
        hand_designed.check_baselines(names)

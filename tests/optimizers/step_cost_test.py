"""`LearnedOptimizer.cost`: what a step costs, compared with Adam."""

import keras
import numpy as np
import pytest

from keras_lopt import LearnedOptimizer, rules


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((20,)), keras.layers.Dense(10)])


@pytest.mark.parametrize("name", ["fused", "velo"])
def test_cost_has_time_and_memory_of_both_and_changes_nothing(model, name):
    settings = {"lstm_units": 4, "bank_size": 2} if name == "velo" else {}
    rule = rules.get(name, **settings)
    optimizer = LearnedOptimizer(rule, rule.init_theta(0))
    before = [np.array(v) for v in model.weights]
    cost = optimizer.cost(model)
    assert set(cost) == {"learned_optimizer", "adam"}
    assert all(part["ms"] > 0.0 for part in cost.values())
    # Two moments of 210 entries; fused has four.
    assert cost["adam"]["bytes"] >= 2 * 4 * 210
    ours = cost["learned_optimizer"]["bytes"]
    assert ours >= 4 * (4 * 210 + sum(v.size for v in optimizer.theta.values()))
    assert not optimizer.built
    for value, old in zip(model.weights, before):
        np.testing.assert_array_equal(np.array(value), old)


def test_an_unbuilt_model_is_refused():
    rule = rules.get("sgd")
    optimizer = LearnedOptimizer(rule, rule.init_theta(0))
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="`model` must be built"):
        optimizer.cost(model)

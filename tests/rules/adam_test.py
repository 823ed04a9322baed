"""The adam rule: theta and errors (golden_test.py has its trace)."""

import numpy as np
import pytest

from keras_lopt import rules


def test_theta_holds_the_logarithms_of_the_hyperparameters():
    theta = rules.get(
        "adam", learning_rate=0.1, beta1=0.5, beta2=0.75, epsilon=1e-3
    ).init_theta(0)
    expected = {
        "log_lr": 0.1,
        "one_minus_beta1": 0.5,
        "one_minus_beta2": 0.25,
        "log_epsilon": 1e-3,
    }
    for leaf, value in expected.items():
        np.testing.assert_allclose(np.exp(theta[leaf]), value, rtol=1e-6)


def test_adam_is_marked_as_hand_designed():
    assert rules.get("adam").hand_designed
    assert not rules.get("fused").hand_designed


def test_adam_descends():
    rule = rules.get("adam", learning_rate=0.1)
    theta = rule.init_theta(0)
    params = [np.full((4, 3), 2.0, np.float32)]
    slots = rule.init_slots(theta, params)
    for step in range(30):
        deltas, slots = rule.update(
            theta, [2.0 * params[0]], params, slots, {"step": step}
        )
        params = [params[0] + deltas[0].numpy()]
    assert np.abs(params[0]).max() < 0.5


@pytest.mark.parametrize(
    "config, message",
    [
        (
            {"learning_rate": 0.0},
            r"`learning_rate` must be a finite number in \(0, inf\).*=0.0",
        ),
        ({"learning_rate": float("inf")}, "`learning_rate` must be.*=inf"),
        ({"learning_rate": "0.1"}, "`learning_rate` must be.*='0.1'"),
        ({"learning_rate": True}, "`learning_rate` must be.*=True"),
        ({"epsilon": -1.0}, r"`epsilon` must be.* in \(0, inf\).*=-1.0"),
        ({"epsilon": float("nan")}, "`epsilon` must be.*=nan"),
        ({"beta1": 1.0}, r"`beta1` must be.* in \[0, 1\).*=1.0"),
        ({"beta1": None}, "`beta1` must be.*=None"),
        ({"beta2": -0.1}, r"`beta2` must be.* in \[0, 1\).*=-0.1"),
        ({"beta2": float("nan")}, "`beta2` must be.*=nan"),
    ],
)
def test_refuses_bad_hyperparameters(config, message):
    with pytest.raises(ValueError, match=message):
        rules.get("adam", **config)


def test_defaults_are_those_of_learned_optimization():
    sgd, sgdm, adam = map(rules.get, ("sgd", "sgdm", "adam"))
    assert (sgd.learning_rate, sgdm.learning_rate) == (0.01, 0.01)
    assert sgdm.momentum == 0.9
    assert (adam.learning_rate, adam.epsilon) == (0.001, 1e-8)
    assert (adam.beta1, adam.beta2) == (0.9, 0.999)

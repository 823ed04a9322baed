"""Hyperparameters that the rules refuse, each with a clear error."""

import math

import pytest

from keras_lopt import rules

COUNTS = {
    "mlp": ("hidden_units", "hidden_layers"),
    "adafac_mlp": ("hidden_units", "hidden_layers"),
    "hierarchical": ("mlp_units", "mlp_layers", "lstm_units"),
    "celo": ("lstm_units", "bank_size", "hidden_units"),
    "celo2": ("hidden_units",),
    "velo": ("lstm_units", "bank_size", "hidden_units", "loss_buffer_horizon"),
    "scale_free": ("hidden_units", "step_hidden_units"),
}
POSITIVE = {
    "sgd": ("learning_rate",),
    "sgdm": ("learning_rate",),
    "nadamw": ("learning_rate", "epsilon", "weight_decay"),
    "mlp": ("step_mult",),
    "adafac_mlp": ("step_mult",),
    "hierarchical": ("step_mult",),
    "velo": ("step_mult", "bank_mult"),
    "celo": ("step_mult",),
    "celo2": ("step_mult", "vector_mult"),
    "scale_free": ("step_mult",),
}
FINITE = {
    name: ("exp_mult",)
    for name in ("mlp", "adafac_mlp", "hierarchical", "velo", "celo", "celo2")
}
FRACTIONS = {"sgdm": ("momentum",), "nadamw": ("beta1", "beta2")}


def pairs(table):
    return [(name, field) for name in table for field in table[name]]


def assert_refused(name, field, value, message):
    with pytest.raises(ValueError, match=f"`{field}` {message}.*={value!r}$"):
        rules.get(name, **{field: value})


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "4", math.nan, math.inf])
@pytest.mark.parametrize("name, field", pairs(COUNTS))
def test_counts_must_be_positive_integers(name, field, value):
    assert_refused(name, field, value, "must be an integer >= 1")


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("name, field", pairs(POSITIVE))
def test_scales_must_be_positive(name, field, value):
    assert_refused(name, field, value, r"must be .* in \(0, inf\)")


@pytest.mark.parametrize("value", [-0.1, 1.0, 2])
@pytest.mark.parametrize("name, field", pairs(FRACTIONS))
def test_fractions_must_be_in_0_to_1(name, field, value):
    assert_refused(name, field, value, r"must be .* in \[0, 1\)")


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "big", None])
@pytest.mark.parametrize("table", [POSITIVE, FRACTIONS, FINITE])
def test_numbers_must_be_finite(table, value):
    for name, field in pairs(table):
        assert_refused(name, field, value, "must be a finite number")


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_flags_must_be_bools(value):
    assert_refused("velo", "frozen_lstm_state", value, "must be True or False")


@pytest.mark.parametrize(
    "name, config",
    [
        ("sgd", {"learning_rate": 1}),
        ("sgdm", {"momentum": 0}),
        ("mlp", {"hidden_layers": 1, "exp_mult": 0}),
        ("adafac_mlp", {"hidden_units": 32, "step_mult": 0.01}),
        ("hierarchical", {"mlp_layers": 1, "lstm_units": 4}),
        ("velo", {"loss_buffer_horizon": 10, "frozen_lstm_state": True}),
        ("scale_free", {"floors": (0.1, 0.2, 0.3), "loss_features": True}),
    ],
)
def test_hyperparameters_round_trip_through_the_config(name, config):
    rule = rules.get(name, **config)
    assert config.items() <= rule.get_config().items()
    assert rules.get(rule.name, **rule.get_config()) == rule
    rule.check_theta(rule.init_theta(0))

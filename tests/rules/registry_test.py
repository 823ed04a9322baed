"""The registry: rules by name."""

import dataclasses

import pytest

from keras_lopt import rules


def test_names_are_sorted_and_complete():
    assert rules.names() == sorted(rules.names())
    assert {"adafac_mlp", "adam", "fused", "hierarchical", "velo"} <= set(
        rules.names()
    )


def test_get_sets_only_the_named_hyperparameters():
    rule = rules.get("fused", hidden_units=4)
    assert rule == rules.FusedRule(hidden_units=4)
    assert rule.hidden_layers == rules.FusedRule().hidden_layers


def test_rules_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        rules.get("fused").hidden_units = 3


def test_an_unknown_rule_raises_and_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"'adam', .*Received: name='fusd'.*mean 'fused'\?"
    ):
        rules.get("fusd")


def test_a_name_unlike_any_other_gets_no_suggestion():
    with pytest.raises(ValueError, match=r"Received: name='zzz'\.$"):
        rules.get("zzz")


def test_an_unknown_hyperparameter_raises_and_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"'hidden_units', .*Received: \['hiden_units'\]"
    ):
        rules.get("fused", hiden_units=4)


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(ValueError, match="already .*FusedRule"):

        @rules.register("fused")
        @dataclasses.dataclass(frozen=True)
        class Other(rules.Rule):
            pass

    assert isinstance(rules.get("fused"), rules.FusedRule)

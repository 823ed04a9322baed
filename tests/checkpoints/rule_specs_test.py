"""Rules as JSON data, and back."""

import dataclasses
import json

import pytest

from keras_lopt import checkpoints, rules
from keras_lopt.rules import registry


@pytest.mark.parametrize("name", rules.names())
def test_every_rule_survives_json(name):
    rule = rules.get(name)
    spec = json.loads(json.dumps(checkpoints.rule_spec(rule)))
    assert checkpoints.rule_from_spec(spec) == rule


def test_tuples_survive_json(monkeypatch):
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))

    @rules.register("with_a_tuple")
    @dataclasses.dataclass(frozen=True)
    class WithATuple(rules.Rule):
        decays: tuple[float, ...] = (0.5, 0.9)

    rule = WithATuple(decays=(0.1,))
    copy = checkpoints.rule_from_spec(checkpoints.rule_spec(rule))
    assert copy == rule
    assert hash(copy) == hash(rule)


def test_check_rule_and_theta_refuses_what_is_not_a_pair(fused, theta):
    checkpoints.check_rule_and_theta(fused, theta)
    with pytest.raises(ValueError, match=r"`rules.get\(name\)`.*'fused'"):
        checkpoints.check_rule_and_theta("fused", theta)
    with pytest.raises(ValueError, match="`theta` must be a dict"):
        checkpoints.check_rule_and_theta(fused, None)

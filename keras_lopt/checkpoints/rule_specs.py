"""A rule as JSON data (its name and hyperparameters), and back."""

import collections.abc
import json

from keras_lopt import rules
from keras_lopt.checks import near_name


def check_rule_and_theta(rule, theta):
    """Raises ValueError unless `rule` is a Rule and `theta` fits it."""
    if not isinstance(rule, rules.Rule):
        raise ValueError(
            "`rule` must be a `rules.Rule`, as `rules.get(name)` builds it. "
            f"Received: rule={rule!r} of type {type(rule).__name__}"
        )
    rules.check_not_inherited(rule)
    if not isinstance(theta, collections.abc.Mapping):
        raise ValueError(
            "`theta` must be a dict from leaf name to float32 array, as from "
            f"`rule.init_theta(seed)`. Received: {type(theta).__name__}"
        )
    rule.check_theta(theta)


def rule_spec(rule):
    """`{"name": ..., "config": {...}}` of `rule`, as it is after JSON."""
    rules.check_not_inherited(rule)
    return json.loads(
        json.dumps({"name": rule.name, "config": rule.get_config()})
    )


def rule_from_spec(spec):
    """The rule that `rule_spec` describes.

    Raises:
        ValueError: `spec` is not such a dict, or `rules.get` refuses it.
    """
    if not isinstance(spec, dict) or set(spec) != {"name", "config"}:
        raise ValueError(
            "A rule is stored as a dict with the keys `name` and `config`. "
            f"Received: {spec!r}"
        )
    if not isinstance(spec["config"], dict):
        raise ValueError(
            "`config` must be a dict of hyperparameters. "
            f"Received: config={spec['config']!r}"
        )
    # Rules are hashable, so a list from JSON was a tuple.
    config = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in spec["config"].items()
    }
    if spec["name"] not in rules.names():
        raise ValueError(
            f"`name` must be one of the registered rules {rules.names()}. "
            f"Received: name={spec['name']!r}."
            f"{near_name(spec['name'], rules.names())} If it is a rule of "
            "your own, import the module that registers it first."
        )
    known = rules.hyperparameters(spec["name"])
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"Rule {spec['name']!r} of this version has the hyperparameters "
            f"{known}. Received: {unknown}, of another version of the rule: "
            "install the version of keras_lopt (or of your own module) that "
            "it was saved with"
        )
    try:
        return rules.get(spec["name"], **config)
    except TypeError as error:
        raise ValueError(
            f"Rule {spec['name']!r} refuses the hyperparameters {config}: "
            f"{error}"
        ) from error

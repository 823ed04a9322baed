"""The registry of update rules: from name to class."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_lopt.checks import near_name
from keras_lopt.rules.base import Rule

_RULES = {}


def register(name: str) -> Callable[[type[Rule]], type[Rule]]:
    """Class decorator that makes a rule available as `rules.get(name)`."""

    def add(cls):
        known = _RULES.get(name)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ValueError(
                f"`name` must be new to the registry. Received: name={name!r}, "
                f"which is already {known.__module__}.{known.__qualname__}"
            )
        cls.name = name
        _RULES[name] = cls
        return cls

    return add


def check_not_inherited(rule: Rule) -> None:
    """Raises ValueError if `rule` has its registered name from a parent.

    It would be saved under this name, and come back as its parent.
    """
    known = _RULES.get(rule.name)
    if known is None or known.__qualname__ == type(rule).__qualname__:
        return
    raise ValueError(
        f"`rule` must have a name of its own: {type(rule).__qualname__} has "
        f"the name {rule.name!r} of {known.__qualname__}, and would be loaded "
        "as that. Decorate the class with `rules.register(name)`. "
        f"Received: rule={rule!r}"
    )


def names() -> list[str]:
    """Sorted names of all registered rules.

    >>> from keras_lopt import rules
    >>> tuple(name for name in rules.names() if "mlp" in name)
    ('adafac_mlp', 'mlp')
    """
    return sorted(_RULES)


def hyperparameters(name: str) -> list[str]:
    """Names of the hyperparameters of the rule registered as `name`."""
    return [field.name for field in dataclasses.fields(_RULES[name])]


def get(name: str, **config: Any) -> Rule:
    """Builds the rule registered as `name`.

    Args:
        name: One of `rules.names()`.
        **config: Hyperparameters of the rule; others keep their defaults.

    Returns:
        A frozen dataclass, an instance of `rules.Rule`.

    Raises:
        ValueError: The rule or a hyperparameter is unknown, or the rule
            refuses a value.

    >>> from keras_lopt import rules
    >>> rules.get("fused", hidden_units=4).hidden_units
    4
    """
    if name not in _RULES:
        raise ValueError(
            f"`name` must be one of the registered rules {names()}. "
            f"Received: name={name!r}.{near_name(name, names())}"
        )
    known = hyperparameters(name)
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"Rule {name!r} has the hyperparameters {known}. "
            f"Received: {unknown}"
        )
    return _RULES[name](**config)

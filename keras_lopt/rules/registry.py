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


def names() -> list[str]:
    """Sorted names of all registered rules.

    >>> from keras_lopt import rules
    >>> [name for name in rules.names() if "mlp" in name]
    ['adafac_mlp', 'mlp']
    """
    return sorted(_RULES)


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
    cls = _RULES[name]
    known = [field.name for field in dataclasses.fields(cls)]
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"Rule {name!r} has the hyperparameters {known}. "
            f"Received: {unknown}"
        )
    return cls(**config)

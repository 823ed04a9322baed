"""The registry of update rules: name -> class."""

import dataclasses
import difflib

_RULES = {}


def register(name):
    """Class decorator: makes a rule known as `name` to `rules.get`."""

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


def names():
    """Sorted names of all registered rules.

    >>> from keras_lopt import rules
    >>> [name for name in rules.names() if "mlp" in name]
    ['adafac_mlp', 'mlp']
    """
    return sorted(_RULES)


def get(name, **config):
    """Builds the rule registered as `name`.

    Args:
        name: One of `rules.names()`.
        **config: Hyperparameters of the rule; the others keep their defaults.

    Returns:
        A frozen dataclass, an instance of `rules.Rule`.

    Raises:
        ValueError: Unknown rule, unknown hyperparameter, or a value that the
            rule refuses.

    >>> from keras_lopt import rules
    >>> rules.get("fused", hidden_units=4).hidden_units
    4
    """
    if name not in _RULES:
        near = difflib.get_close_matches(str(name), names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"`name` must be one of the registered rules {names()}. "
            f"Received: name={name!r}.{hint}"
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

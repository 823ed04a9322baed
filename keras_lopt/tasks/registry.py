"""The registry of task families: name -> function that builds a task."""

import difflib
import inspect

_FAMILIES = {}


def register(function):
    """Decorator: makes a task family known by its function's name."""
    _FAMILIES[function.__name__] = function
    return function


def names():
    """Sorted names of all task families."""
    return sorted(_FAMILIES)


def get(name, **config):
    """Builds a task of the family `name`.

    Args:
        name: One of `tasks.names()`.
        **config: Arguments of the family's function.

    Raises:
        ValueError: Unknown family or argument, or a value that it refuses.
    """
    if name not in _FAMILIES:
        near = difflib.get_close_matches(str(name), names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"`name` must be one of the task families {names()}. "
            f"Received: name={name!r}.{hint}"
        )
    known = list(inspect.signature(_FAMILIES[name]).parameters)
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"Task family {name!r} has the arguments {known}. "
            f"Received: {unknown}"
        )
    return _FAMILIES[name](**config)

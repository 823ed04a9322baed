"""The registry of tasks: name -> function that builds one, and its family.

A family is a distribution over tasks: what builds one from a configuration,
and what draws a configuration for a seed.
"""

import dataclasses
import inspect
from collections.abc import Callable

from keras_lopt.checks import check_integer, near_name
from keras_lopt.tasks.sampling import Sampler

_BUILDERS = {}
_FAMILIES = {}


@dataclasses.dataclass(frozen=True)
class Family:
    """A distribution over tasks.

    Args:
        name: Of the family.
        build: Function from a configuration, as keywords, to a `Task`.
        draw: Function from a `Sampler` to a configuration.
    """

    name: str
    build: Callable
    draw: Callable

    def sample_config(self, seed):
        """The configuration of a seed: arguments of `build`, JSON types."""
        check_integer("seed", seed, 0)
        return self.draw(Sampler(self.name, seed))

    def sample(self, seed):
        """The `Task` of a seed."""
        return self.build(**self.sample_config(seed))


def register(function):
    """Decorator: makes a task known by its function's name."""
    _BUILDERS[function.__name__] = function
    return function


def register_family(draw):
    """Decorator of a builder: makes it a family whose samples `draw` draws."""

    def decorate(function):
        name = function.__name__
        _FAMILIES[name] = Family(name, function, draw)
        return register(function)

    return decorate


def names():
    """Sorted names of all that `get` builds."""
    return sorted(_BUILDERS)


def families():
    """Sorted names of the families, which can be sampled."""
    return sorted(_FAMILIES)


def family(name):
    """The `Family` of a name."""
    _check_name(name, families(), "families that can be sampled")
    return _FAMILIES[name]


def get(name, **config):
    """Builds a task of the family `name`.

    Args:
        name: One of `tasks.names()`.
        **config: Arguments of the family's function.

    Raises:
        ValueError: Unknown family or argument, or a value that it refuses.
    """
    _check_name(name, names(), "task families")
    known = list(inspect.signature(_BUILDERS[name]).parameters)
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"Task family {name!r} has the arguments {known}. "
            f"Received: {unknown}"
        )
    return _BUILDERS[name](**config)


def _check_name(name, known, what):
    if name not in known:
        raise ValueError(
            f"`name` must be one of the {what} {known}. "
            f"Received: name={name!r}.{near_name(name, known)}"
        )

"""The registry: functions that build tasks, and families of tasks, by name.

A family is a distribution over tasks: a function that draws a configuration
for a seed, and a function that builds a task from a configuration.
"""

import dataclasses
import inspect
from collections.abc import Callable

from keras_lopt.checks import check_integer, near_name
from keras_lopt.tasks.sampling import Sampler
from keras_lopt.tasks.task import Task

_BUILDERS = {}
_FAMILIES = {}


@dataclasses.dataclass(frozen=True)
class Family:
    """A distribution over tasks.

    Args:
        name: Name of the family.
        build: Function that takes a configuration as keyword arguments and
            returns a `Task`.
        draw: Function that draws a configuration with a `Sampler`.
    """

    name: str
    build: Callable[..., Task]
    draw: Callable[[Sampler], dict]

    def sample_config(self, seed: int) -> dict:
        """The configuration for a seed: arguments of `build`, as JSON types."""
        check_integer("seed", seed, 0)
        return self.draw(Sampler(self.name, seed))

    def sample(self, seed: int) -> Task:
        """The `Task` for a seed."""
        return self.build(**self.sample_config(seed))


def register(function):
    """Decorator: lets `get` build a task by the name of its function."""
    _BUILDERS[function.__name__] = function
    return function


def register_family(draw, name=None):
    """Decorator: makes a family of a function that builds tasks.

    Args:
        draw: Function that draws a configuration with a `Sampler`.
        name: Name of the family; default: the function's name.
    """

    def decorate(function):
        key = name or function.__name__
        _FAMILIES[key] = Family(key, function, draw)
        _BUILDERS[key] = function
        return function

    return decorate


def names() -> list[str]:
    """Sorted names of all tasks and families that `get` builds."""
    return sorted(_BUILDERS)


def families() -> list[str]:
    """Sorted names of the families, which can be sampled."""
    return sorted(_FAMILIES)


def family(name: str) -> Family:
    """The `Family` with a name, one of `tasks.registry.families()`."""
    _check_name(name, families(), "families that can be sampled")
    return _FAMILIES[name]


def get(name: str, **config: object) -> Task:
    """Builds a task by name.

    Args:
        name: One of `tasks.names()`.
        **config: Arguments of the function that builds it.

    Raises:
        ValueError: Unknown name or argument, or a value that is refused.
    """
    _check_name(name, names(), "tasks")
    known = list(inspect.signature(_BUILDERS[name]).parameters)
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"Arguments of task {name!r} must be among {known}. "
            f"Received: {unknown}"
        )
    return _BUILDERS[name](**config)


def _check_name(name, known, what):
    if name not in known:
        raise ValueError(
            f"`name` must be one of the {what} {known}. "
            f"Received: name={name!r}.{near_name(name, known)}"
        )

"""Suites: named, frozen lists of tasks to train or to compare optimizers on.

A suite never changes, so that results on it stay comparable. New tasks go into
a new suite.
"""

import dataclasses
import types

from keras_lopt.tasks import registry
from keras_lopt.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Entry:
    """A task of a suite.

    Args:
        family: Name of a task, as for `tasks.get`.
        config: Arguments of the task.
        horizon: Number of inner steps per run.
        seeds: Numbers of the problems.
    """

    family: str
    config: types.MappingProxyType
    horizon: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)

    def task(self) -> Task:
        """Builds the `tasks.Task`."""
        return registry.get(self.family, **self.config)


def _entry(family, horizon=200, seeds=3, **config):
    config = types.MappingProxyType(config)
    return Entry(family, config, horizon, tuple(range(seeds)))


_TINY = (
    _entry("mlp", 20, 1, hidden=(8,), data="digits4", batch_size=16),
    _entry("tabular", 20, 1, hidden=(4,), data="diabetes", batch_size=16),
    _entry("quadratic", 20, 1, size=4),
    _entry(
        "conv_pooling",
        20,
        1,
        channels=(4,),
        padding=("same",),
        data="digits4",
        batch_size=16,
    ),
)
_STANDARD = (
    _entry("mlp", hidden=(32,)),
    _entry("mlp", hidden=(64, 32, 16), activation="tanh", batch_size=32),
    _entry("tabular", data="wine", hidden=(32,)),
    _entry("tabular", data="breast_cancer", hidden=(16, 16)),
    _entry("tabular", data="diabetes", hidden=(32,)),
    _entry("mlp_ae", hidden=(32, 8, 32)),
    _entry("mlp_ae", hidden=(16,), loss="l1", output="linear"),
    _entry("mlp_vae", encoder=(32, 8), decoder=(32,)),
    _entry("conv_fc", channels=(8, 16), hidden=(32,)),
    _entry("conv_pooling", channels=(8, 16)),
    _entry("resnet", channels=8, stages=2, dropout=0.1),
    _entry("nvp", hidden=(32,), bijectors=2),
    _entry("maf", hidden=(32,), bijectors=2),
    _entry("quadratic", size=32, numbers=(0.1, 10.0)),
    _entry("losg", function="rosenbrock", size=10),
    _entry("losg", function="norm", size=20, gradient_noise=(0.1, 0.1)),
    _entry("random_data", hidden=(16,), features=16, classes=4),
    _entry("rnn_text", core="gru", units=32, readout="mean"),
    _entry("rnn_char_lm", core="lstm", units=32, length=16),
    _entry("rnn_word_lm", core="gru", units=32, length=8),
    _entry("transformer_lm", embed=16, heads=2, depth=1, length=16),
    _entry("vit", embed=16, heads=2, depth=1),
    _entry("lopt", rule="fused", steps=3),
)
_TFDS = (
    _entry("mlp", 1000, data="tfds:mnist@8", hidden=(32,), batch_size=128),
    _entry("mlp", 1000, data="tfds:fashion_mnist", hidden=(128, 128)),
    _entry("mlp_ae", 1000, data="tfds:mnist", hidden=(128, 32, 128)),
    _entry("conv_fc", 1000, data="tfds:cifar10@16", channels=(16, 32)),
    _entry("conv_pooling", 1000, data="tfds:cifar100", channels=(32, 64)),
    _entry("resnet", 1000, data="tfds:svhn_cropped@16", channels=16),
    _entry("vit", 1000, data="tfds:cifar10", embed=64, heads=4, patch=4),
    _entry(
        "conv_pooling",
        1000,
        data="tfds:imagenet_resized/16x16",
        channels=(32, 64),
    ),
    _entry("rnn_text", 1000, source="tfds:imdb_reviews", length=64),
    _entry("transformer_lm", 1000, source="tfds:lm1b", level="word"),
)

_SUITES = {"tiny": _TINY, "standard": _STANDARD, "tfds": _TFDS}


def names() -> list[str]:
    """Sorted names of all suites."""
    return sorted(_SUITES)


def get(name: str) -> tuple[Entry, ...]:
    """The entries of the suite with a name."""
    if name not in _SUITES:
        raise ValueError(
            f"`name` must be one of the suites {names()}. Received: {name=}"
        )
    return _SUITES[name]

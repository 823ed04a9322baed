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

    @property
    def label(self):
        """Family, configuration and horizon, for tables."""
        config = ", ".join(f"{k}={v}" for k, v in self.config.items())
        return f"{self.family}({config}), {self.horizon} steps"

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
#: To choose among optimizers trained on gin_configs/tasks/general.gin: none of
#: its training splits of images, tables and text, none of its widths. Two runs
#: are five times as long as its longest horizon, two models ten times as large
#: as its largest. The first four entries are the cheapest.
_GENERAL_VALIDATION = (
    _entry("quadratic", 600, 1, size=40, numbers=(0.3, 3.0), noise=0.1),
    _entry("mlp", 400, 1, data="photos8", hidden=(20,), batch_size=48),
    _entry(
        "tabular",
        1000,
        1,
        data="breast_cancer:test",
        hidden=(28, 10),
        activation="sigmoid",
        batch_size=24,
    ),
    _entry(
        "conv_pooling",
        400,
        1,
        data="digits8:test",
        channels=(10, 14),
        activation="elu",
        batch_size=24,
    ),
    _entry(
        "mlp",
        10_000,
        1,
        data="digits4:test",
        hidden=(18,),
        activation="tanh",
        batch_size=8,
    ),
    _entry(
        "random_data",
        10_000,
        1,
        hidden=(20,),
        features=18,
        classes=7,
        batch_size=24,
    ),
    _entry("mlp_ae", 800, 1, data="photos8", hidden=(130, 30, 130)),
    _entry(
        "transformer_lm",
        600,
        1,
        source="modules",
        embed=48,
        heads=4,
        depth=2,
        length=20,
        batch_size=12,
    ),
)
#: To report once: 36 tasks of all kinds at horizons of 200 to 2,000 steps, with
#: no split, width or seed of training or of `general_validation`.
_GENERAL_TEST = (
    # Dense classifiers.
    _entry("mlp", 200, 1, data="photos16", hidden=(40,), batch_size=64),
    _entry(
        "mlp",
        500,
        1,
        data="photos16",
        hidden=(60, 36),
        activation="tanh",
        batch_size=32,
    ),
    _entry(
        "mlp",
        1000,
        1,
        data="photos16",
        hidden=(26, 26, 26, 26, 26, 26),
        initializer="he_normal",
        batch_size=40,
    ),
    _entry(
        "mlp",
        1000,
        1,
        data="photos16",
        hidden=(50, 50),
        activation="sigmoid",
        batch_size=80,
    ),
    _entry("mlp", 2000, 1, data="photos16", hidden=(22,), batch_size=8),
    _entry("mlp", 300, 1, data="photos16", hidden=(300, 150), batch_size=128),
    _entry("mlp", 400, 1, data="digits8:test", hidden=(44,), batch_size=20),
    _entry(
        "mlp",
        500,
        1,
        data="digits4:test",
        hidden=(34, 22),
        activation="cos",
        batch_size=12,
    ),
    _entry("mlp", 500, 1, data="photos16", hidden=(), batch_size=32),
    # Tables.
    _entry("tabular", 300, 1, data="iris", hidden=(14,), batch_size=10),
    _entry(
        "tabular",
        1000,
        1,
        data="iris",
        hidden=(6, 6),
        activation="tanh",
        batch_size=20,
    ),
    _entry(
        "tabular",
        500,
        1,
        data="wine",
        hidden=(30,),
        activation="swish",
        batch_size=8,
    ),
    _entry(
        "tabular",
        600,
        1,
        data="diabetes:test",
        hidden=(40, 20),
        batch_size=12,
    ),
    _entry(
        "tabular",
        400,
        1,
        data="wine",
        hidden=(),
        batch_size=16,
    ),
    # Autoencoders.
    _entry("mlp_ae", 500, 1, data="photos16", hidden=(64, 14, 64)),
    _entry(
        "mlp_ae",
        1000,
        1,
        data="digits8:test",
        hidden=(36, 6, 36),
        activation="tanh",
        batch_size=24,
    ),
    _entry(
        "mlp_ae",
        400,
        1,
        data="photos16",
        hidden=(28,),
        loss="l1",
        output="linear",
        batch_size=24,
    ),
    _entry(
        "mlp_vae",
        600,
        1,
        data="digits8:test",
        encoder=(38, 6),
        decoder=(38,),
        batch_size=40,
    ),
    # Convolutions.
    _entry(
        "conv_fc",
        400,
        1,
        data="photos16",
        channels=(12, 20),
        hidden=(40,),
        batch_size=32,
    ),
    _entry(
        "conv_fc",
        800,
        1,
        data="digits8:test",
        channels=(9, 9, 9),
        padding=("same", "same", "same"),
        hidden=(),
        activation="tanh",
        batch_size=16,
    ),
    _entry(
        "conv_pooling",
        600,
        1,
        data="photos16",
        channels=(12, 24),
        pool="max",
        batch_size=48,
    ),
    _entry(
        "resnet",
        400,
        1,
        data="photos16",
        channels=9,
        stages=2,
        batch_size=32,
    ),
    _entry(
        "resnet",
        300,
        1,
        data="photos16",
        channels=10,
        stages=2,
        normalization="layer",
        dropout=0.2,
        batch_size=32,
    ),
    _entry(
        "resnet",
        300,
        1,
        data="photos16",
        channels=12,
        stages=1,
        normalization="none",
        activation="swish",
        batch_size=32,
    ),
    # Attention.
    _entry(
        "vit",
        500,
        1,
        data="photos16",
        embed=20,
        heads=2,
        depth=2,
        patch=4,
        batch_size=32,
    ),
    _entry(
        "transformer_lm",
        500,
        1,
        source="modules",
        embed=24,
        heads=2,
        depth=2,
        length=24,
        batch_size=16,
    ),
    _entry(
        "transformer_lm",
        1000,
        1,
        source="modules",
        level="word",
        vocabulary=1000,
        embed=20,
        heads=2,
        depth=1,
        length=12,
        batch_size=16,
    ),
    # Recurrent networks.
    _entry(
        "rnn_char_lm",
        400,
        1,
        source="modules",
        core="gru",
        units=40,
        length=20,
        batch_size=16,
    ),
    _entry(
        "rnn_word_lm",
        400,
        1,
        source="modules",
        core="lstm",
        units=28,
        length=10,
        batch_size=24,
    ),
    _entry(
        "rnn_text",
        400,
        1,
        source="modules",
        core="vrnn",
        units=24,
        readout="max",
        length=12,
    ),
    # Functions, random data and a rule.
    _entry(
        "quadratic",
        500,
        1,
        size=60,
        matrix="logspace_eigen",
        numbers=(0.03, 3.0),
    ),
    _entry("quadratic", 1000, 1, size=24, numbers=(0.1, 4.0), noise=0.5),
    _entry("losg", 2000, 1, function="rosenbrock", size=12),
    _entry(
        "losg",
        500,
        1,
        function="norm",
        size=40,
        power=1.5,
        gradient_noise=(0.05, 0.05),
    ),
    _entry(
        "random_data",
        1000,
        1,
        hidden=(28, 28),
        features=20,
        classes=6,
        activation="tanh",
        batch_size=48,
    ),
    _entry("lopt", 200, 1, rule="fused", rule_hidden=4, hidden=6, steps=4),
)

_SUITES = {
    "general_test": _GENERAL_TEST,
    "general_validation": _GENERAL_VALIDATION,
    "standard": _STANDARD,
    "tfds": _TFDS,
    "tiny": _TINY,
}


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

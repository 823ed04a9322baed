"""TensorFlow Datasets as arrays: read once, resized, split, cached on disk.

tasks.tfds_data.configure(data_dir="...", download=True)
tasks.get("conv_fc", data="tfds:cifar10@16")
"""

import dataclasses
import functools
import hashlib
import importlib.resources
import importlib.util
import os
import pathlib
import sys

import numpy as np
import tensorflow as tf

from keras_lopt.checks import near_name
from keras_lopt.tasks.data.dataset import Dataset

#: Examples in each of the three held-out splits; at most a fifth of all.
HELD_OUT = 5000


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the data is, and whether it may be downloaded.

    Args:
        data_dir: Folder of TFDS. None: the default of TFDS.
        download: Whether to download a builder whose data is not there.
        cache_dir: Folder for the arrays. None: `keras_lopt` in `data_dir`, or
            no cache if there is no `data_dir` either.
        max_examples: How many examples to read of a builder, from the first.
    """

    data_dir: str | None = None
    download: bool = False
    cache_dir: str | None = None
    max_examples: int = 60_000


_settings = Settings()


def configure(**settings):
    """Changes `Settings` for everything that is read from now on."""
    global _settings
    _settings = dataclasses.replace(_settings, **settings)
    for function in (images, text, labeled_texts):
        function.cache_clear()


def is_available(name):
    """Whether a builder's data is on this machine already."""
    try:
        return _builder(name).is_prepared()
    except Exception:  # Which one depends on the builder and on TFDS.
        return False


def _builder(name):
    # TFDS 4.9.10 uses importlib_resources without requiring it. Python's own
    # module is the same from Python 3.11 on.
    if (
        "importlib_resources" not in sys.modules
        and not importlib.util.find_spec("importlib_resources")
    ):
        sys.modules["importlib_resources"] = importlib.resources
    import tensorflow_datasets as tfds

    return tfds.builder(name, data_dir=_settings.data_dir)


def _prepared(name):
    """The builder with its data, or one clear error if it has none."""
    try:
        builder = _builder(name)
        if builder.is_prepared():
            return builder
        if _settings.download:
            builder.download_and_prepare()
            return builder
        reason = "its data is not there, and `download` is off"
    except Exception as error:  # Network, checksum, version, ...
        reason = f"{type(error).__name__}: {_beginning(error)}"
        reason += _nearest_builder(name)
    raise FileNotFoundError(
        f"`data` {f'tfds:{name}'!r} must be a builder of TensorFlow Datasets "
        f"that is prepared in `data_dir` ({_settings.data_dir or 'default'}). "
        f"Received: {reason}. Use `tasks.tfds_data.configure(data_dir=..., "
        "download=True)`, or --data_dir and --download of a command, on a "
        "machine with a network; or other data"
    )


def _beginning(error, most=200):
    """The first line of an error's text: TFDS goes on to list all it has."""
    line = str(error).strip().partition("\n")[0]
    return line if len(line) <= most else f"{line[:most]} ..."


def _nearest_builder(name):
    """A hint at the nearest builder if no builder has this name."""
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    stem = name.partition("/")[0].partition(":")[0]
    return "" if stem in known else near_name(stem, known)


@functools.lru_cache(maxsize=8)
def images(name, size=None):
    """Images with labels, as uint8.

    Args:
        name: A builder whose examples have `image` and `label`.
        size: Side in pixels of the squares that images are resized to. None:
            images keep their size.

    Returns:
        A `Dataset` with the splits of a task. `test` is the builder's test
        split if it has one; the others are parts of its train split.
    """
    return _cached(f"{name}@{size or 'own'}", lambda: _read_images(name, size))


def _read_images(name, size):
    builder = _prepared(name)
    classes = builder.info.features["label"].num_classes

    def example(row):
        image = row["image"]
        if size is not None:
            image = tf.image.resize(image, (size, size), antialias=True)
            image = tf.cast(tf.round(image), tf.uint8)
        return image, tf.cast(row["label"], tf.int32)

    parts = []
    for split in _source_splits(builder):
        data = builder.as_dataset(split=split).map(example)
        rows = list(data.take(_settings.max_examples).as_numpy_iterator())
        parts.append([np.stack(column) for column in zip(*rows)])
    return _split(f"{name}@{size or 'own'}", parts, classes)


def _source_splits(builder):
    """The train split, and the test or validation split if there is one."""
    have = list(builder.info.splits)
    return ["train", *[s for s in ("test", "validation") if s in have][:1]]


def _split(name, parts, classes):
    """A `Dataset` of the arrays of a builder's splits."""
    inputs, targets = (np.concatenate(column) for column in zip(*parts))
    order = np.random.default_rng(0).permutation(len(parts[0][0]))
    held_out = min(HELD_OUT, len(order) // 5)
    counts = {"inner_valid": held_out, "outer_valid": held_out}
    if len(parts) == 1:
        counts["test"] = held_out
    splits, start = {"train": (0, len(order) - sum(counts.values()))}, 0
    start = splits["train"][1]
    for split, count in counts.items():
        splits[split] = (start, count)
        start += count
    if len(parts) > 1:
        splits["test"] = (start, len(inputs) - start)
    order = np.concatenate([order, np.arange(len(order), len(inputs))])
    return Dataset(name, inputs[order], targets[order], classes, splits)


def _cached(name, read):
    """A `Dataset` from the disk; if it is not there, `read()` is stored."""
    folder = _settings.cache_dir or _settings.data_dir
    if folder is None:
        return read()
    digest = hashlib.sha256(f"{name} {_settings.max_examples}".encode())
    stem = name.replace("/", "_").replace(":", "_")
    path = pathlib.Path(folder, "keras_lopt")
    path = path / f"{stem}-{digest.hexdigest()[:8]}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            splits = {
                str(split): (int(start), int(size))
                for split, start, size in zip(
                    file["names"], file["starts"], file["sizes"]
                )
            }
            classes = int(file["num_classes"])
            return Dataset(
                name, file["inputs"], file["targets"], classes, splits
            )
    dataset = read()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(
        partial,
        inputs=dataset.inputs,
        targets=dataset.targets,
        num_classes=dataset.num_classes,
        names=list(dataset.splits),
        starts=[start for start, _ in dataset.splits.values()],
        sizes=[size for _, size in dataset.splits.values()],
    )
    os.replace(partial, path)  # Atomic: the file is complete or absent.
    return dataset


@functools.lru_cache(maxsize=2)
def text(name):
    """The joined texts of a builder's train split, for language models."""
    builder = _prepared(name)
    data = builder.as_dataset(split="train").take(_settings.max_examples)
    return "\n".join(
        row["text"].decode("utf-8", "replace")
        for row in data.as_numpy_iterator()
    )


@functools.lru_cache(maxsize=2)
def labeled_texts(name):
    """Texts and labels of a builder's train split, and the class count."""
    builder = _prepared(name)
    data = builder.as_dataset(split="train").take(_settings.max_examples)
    rows = list(data.as_numpy_iterator())
    texts = [row["text"].decode("utf-8", "replace") for row in rows]
    labels = [int(row["label"]) for row in rows]
    return texts, labels, builder.info.features["label"].num_classes

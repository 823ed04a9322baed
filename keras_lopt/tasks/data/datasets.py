"""Datasets by name: "digits8", "wine", ..., or "tfds:cifar10@8".

The small real ones here need no download. Their splits are contiguous ranges
of the shuffled examples: `train` for inner steps, `inner_valid` for scoring
members (no gradient ever sees it), `outer_valid` for the outer loss, and
`test` for evaluation.
"""

import dataclasses
import functools

import numpy as np
from sklearn import datasets as sklearn_datasets

from keras_lopt.checks import near_name
from keras_lopt.tasks.data import tfds_data
from keras_lopt.tasks.data.dataset import Dataset

SPLIT_FRACTIONS = {
    "train": 0.60,
    "inner_valid": 0.10,
    "outer_valid": 0.15,
    "test": 0.15,
}


def split_ranges(size):
    """`Dataset.splits` of `size` examples, by `SPLIT_FRACTIONS`."""
    bounds = np.cumsum([0.0, *SPLIT_FRACTIONS.values()]) * size
    bounds = np.round(bounds).astype(int)
    return {
        split: (int(start), int(stop - start))
        for split, start, stop in zip(SPLIT_FRACTIONS, bounds, bounds[1:])
    }


def split_arrays(name, inputs, targets, num_classes, standardize=False):
    """A `Dataset` of shuffled examples, split by `SPLIT_FRACTIONS`.

    Args:
        name, inputs, targets, num_classes: As for `Dataset`, with numbers of
            any dtype.
        standardize: Whether to shift and scale columns to mean 0 and standard
            deviation 1. Both are measured on the training split alone, so
            that nothing leaks from the other splits.
    """
    order = np.random.default_rng(0).permutation(len(inputs))
    splits = split_ranges(len(inputs))
    inputs = inputs[order]
    if standardize:
        inputs = _standardize(inputs, *splits["train"])
    return Dataset(
        name,
        np.ascontiguousarray(inputs, dtype=_dtype(inputs)),
        np.ascontiguousarray(targets[order], dtype=np.int32),
        num_classes,
        splits,
    )


def _dtype(array):
    """The dtype to store: int32 and uint8 stay, all others become float32."""
    return array.dtype if array.dtype in ("int32", "uint8") else np.float32


@functools.cache
def digits(size=8):
    """1,797 flat images of digits in [0, 1], 8x8 or averaged to 4x4."""
    if size not in (4, 8):
        raise ValueError(f"`size` must be 4 or 8. Received: size={size!r}")
    bunch = sklearn_datasets.load_digits()
    images = bunch.images / 16.0  # [n, 8, 8]
    if size == 4:
        images = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    flat = images.reshape(len(images), size * size)
    return split_arrays(f"digits{size}x{size}", flat, bunch.target, 10)


@functools.cache
def wine():
    """178 wines: 13 standardized measurements, 3 cultivars."""
    bunch = sklearn_datasets.load_wine()
    return split_arrays("wine", bunch.data, bunch.target, 3, standardize=True)


@functools.cache
def breast_cancer():
    """569 tumors: 30 standardized measurements, 2 diagnoses."""
    bunch = sklearn_datasets.load_breast_cancer()
    return split_arrays(
        "breast_cancer", bunch.data, bunch.target, 2, standardize=True
    )


@functools.cache
def diabetes():
    """442 patients: 10 standardized measurements, standardized progression."""
    bunch = sklearn_datasets.load_diabetes(scaled=False)
    columns = np.concatenate([bunch.data, bunch.target[:, None]], axis=1)
    dataset = split_arrays(
        "diabetes",
        columns,
        np.zeros(len(columns), np.int32),
        num_classes=1,
        standardize=True,
    )
    return Dataset(
        "diabetes",
        np.ascontiguousarray(dataset.inputs[:, :-1]),
        np.ascontiguousarray(dataset.inputs[:, -1:]),
        None,
        dataset.splits,
    )


@functools.cache
def iris():
    """150 irises: 4 standardized measurements, 3 species."""
    bunch = sklearn_datasets.load_iris()
    return split_arrays("iris", bunch.data, bunch.target, 3, standardize=True)


@functools.cache
def photos(size=8):
    """Colored squares of two photographs, with sides of `size` pixels.

    The class of a square is its photograph and the quarter of the height that
    it is from: 8 classes, of which many squares have no clear sign.
    """
    images = sklearn_datasets.load_sample_images().images
    squares, labels = [], []
    for number, image in enumerate(images):
        rows, columns = image.shape[0] // size, image.shape[1] // size
        image = image[: rows * size, : columns * size]
        cut = image.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
        squares.append(cut.reshape(-1, size, size, 3))
        quarter = np.repeat(4 * np.arange(rows) // rows, columns)
        labels.append(4 * number + quarter)
    return split_arrays(
        f"photos{size}", np.concatenate(squares), np.concatenate(labels), 8
    )


@functools.cache
def resplit(dataset, split):
    """The examples of one split alone, with splits of their own.

    Args:
        dataset: A `Dataset`.
        split: Name of one of its splits, such as "test": examples that no
            training on the dataset has seen.
    """
    inputs, targets = dataset.arrays(split)
    name = f"{dataset.name}:{split}"
    splits = split_ranges(dataset.range(split)[1])
    return Dataset(name, inputs, targets, dataset.num_classes, splits)


@functools.cache
def digit_images(size=8):
    """`digits` as images [n, size, size, 1]."""
    flat = digits(size)
    inputs = flat.inputs.reshape(-1, size, size, 1)
    return dataclasses.replace(flat, inputs=inputs)


@functools.cache
def autoencoding(dataset):
    """`dataset` with its inputs as targets."""
    return dataclasses.replace(
        dataset, targets=dataset.inputs, num_classes=None
    )


@functools.cache
def nothing():
    """A placeholder without data, for models that compute their own loss."""
    column = np.zeros([len(SPLIT_FRACTIONS), 1], np.float32)
    splits = {split: (i, 1) for i, split in enumerate(SPLIT_FRACTIONS)}
    return Dataset("nothing", column, column, None, splits)


def _standardize(columns, start, size):
    """Columns minus the mean, divided by the deviation, of a range of rows."""
    train = columns[start : start + size]
    deviation = train.std(axis=0)
    constant = np.ptp(train, axis=0) == 0  # Despite rounding.
    deviation = np.where(constant, 1.0, deviation)
    return (columns - train.mean(axis=0)) / deviation


_BY_NAME = {
    "digits4": lambda: digit_images(4),
    "digits8": lambda: digit_images(8),
    "wine": wine,
    "breast_cancer": breast_cancer,
    "diabetes": diabetes,
    "iris": iris,
    "photos8": photos,
    "photos16": lambda: photos(16),
    "nothing": nothing,
}


def names():
    """Sorted names of the datasets that need no download."""
    return sorted(_BY_NAME)


@functools.lru_cache(maxsize=32)
def get(name: str) -> Dataset:
    """The `Dataset` with a name: the same object for all tasks.

    Args:
        name: One of `names()`; "NAME:SPLIT" for the examples of one of its
            splits alone, as from `resplit`; or "tfds:BUILDER" or
            "tfds:BUILDER@SIZE", where images are resized to squares with sides
            of SIZE pixels.
    """
    if str(name).startswith("tfds:"):
        builder, _, size = name.removeprefix("tfds:").partition("@")
        return tfds_data.images(builder, int(size) if size else None)
    base, _, split = str(name).partition(":")
    if base not in _BY_NAME:
        raise ValueError(
            f"`data` must be one of {names()}, or 'tfds:BUILDER@SIZE'. "
            f"Received: data={name!r}.{near_name(name, names())}"
        )
    dataset = _BY_NAME[base]()
    return resplit(dataset, split) if split else dataset

"""A user's own arrays or `tf.data.Dataset`s as a `Dataset`."""

import numpy as np
import tensorflow as tf

from keras_lopt.checks import check_integer
from keras_lopt.tasks.data.dataset import Dataset
from keras_lopt.tasks.data.datasets import split_ranges


def as_dataset(
    data: object, name: str = "user", num_classes: int | None = None
) -> Dataset:
    """A `Dataset` of a user's arrays or `tf.data.Dataset`s.

    Args:
        data: A pair (inputs, targets) of arrays or of nests of arrays; a
            finite, unbatched `tf.data.Dataset` of such pairs; or a dict from
            split to any of these, with the splits "train", "inner_valid",
            "outer_valid" and "test".
        name: Name of the dataset.
        num_classes: Number of classes, for integer targets [n] whose labels
            may be permuted and whose loss is scaled by the number of classes.
            None: targets are whatever the loss takes.

    Returns:
        A `Dataset`. Data without splits is shuffled once and split by
        `datasets.SPLIT_FRACTIONS`.
    """
    if not isinstance(data, dict):
        arrays = _arrays(data, "data")
        sizes = {len(a) for a in tf.nest.flatten(arrays) if a.ndim}
        size = max(sizes, default=0)
        if len(sizes) == 1:  # Otherwise `Dataset` says what is wrong.
            order = np.random.default_rng(0).permutation(size)
            arrays = tf.nest.map_structure(lambda a: a[order], arrays)
        return Dataset(name, *arrays, num_classes, split_ranges(size))
    parts = {k: _arrays(v, f"data[{k!r}]") for k, v in data.items()}
    splits, start = {}, 0
    for split, arrays in parts.items():
        leaves = tf.nest.flatten(arrays)
        size = len(leaves[0]) if leaves else 0
        check_integer(f"number of examples of data[{split!r}]", size, 1)
        splits[split] = (start, size)
        start += size
    joined = tf.nest.map_structure(
        lambda *leaves: np.concatenate(leaves), *parts.values()
    )
    return Dataset(name, *joined, num_classes, splits)


def _arrays(data, field):
    """(inputs, targets) as arrays of the dtypes that a `Dataset` takes."""
    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                f"`{field}` must be finite, because it is read into memory. "
                "Received: an infinite tf.data.Dataset; use `.take(count)`"
            )
        examples = list(data.as_numpy_iterator())
        check_integer(f"number of examples of {field}", len(examples), 1)
        data = tf.nest.map_structure(
            lambda *leaves: _stacked(leaves, field), *examples
        )
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            f"`{field}` must be a pair (inputs, targets) of arrays, or a "
            "tf.data.Dataset of such pairs. "
            f"Received: {type(data).__name__}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    inputs = tf.nest.map_structure(_standard, data[0])
    if data[1] is data[0]:
        return inputs, inputs
    return inputs, tf.nest.map_structure(_target, data[1])


def _stacked(leaves, field):
    """The stacked arrays of several examples."""
    shapes = {np.shape(leaf) for leaf in leaves}
    if len(shapes) > 1:
        raise ValueError(
            f"`{field}` must have examples of one shape: pad, crop or resize "
            f"them. Received: shapes {sorted(shapes)[:3]}"
        )
    return np.stack(leaves)


def _target(array):
    """An array of targets, where uint8 means class numbers, not pixels."""
    array = _standard(array)
    return array.astype(np.int32) if array.dtype == np.uint8 else array


def _standard(array):
    """An array as float32, int32 or uint8."""
    array = np.asarray(array)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind in "iub" and array.dtype != np.uint8:
        return array.astype(np.int32)
    return array  # `Dataset` refuses all other dtypes.

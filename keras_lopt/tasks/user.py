"""The user's own: any Keras model, loss and data as a task."""

import keras
import numpy as np
import tensorflow as tf

from keras_lopt.checks import check_integer
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.dataset import Dataset
from keras_lopt.tasks.datasets import split_ranges
from keras_lopt.tasks.losses import FunctionLoss


def from_keras(
    model_fn,
    loss,
    data,
    batch_size,
    *,
    name="keras",
    variation=None,
    max_loss=None,
    normalizer=None,
):
    """A task of any Keras model, which trains as it does in `fit`.

    Args:
        model_fn: Function without arguments that returns a new Keras model,
            built or not. Its weights' values are not used: problems start
            from values of the layers' initializers.
        loss: What `model.compile` takes as its loss; None if the model adds
            it all.
        data: A `tasks.Dataset`, or as for `as_dataset`. Inputs of uint8 are
            images: the model sees them as float32 in [0, 1].
        batch_size: Examples a step.
        name: Of the task and of its data.
        variation, max_loss, normalizer: As for `Task`.

    Returns:
        A `tasks.Task`.
    """
    _check_model_fn(model_fn)
    dataset = data if isinstance(data, Dataset) else as_dataset(data, name)
    return Task(
        name,
        lambda: _built(model_fn(), dataset, batch_size),
        _averaged(loss),
        dataset,
        batch_size,
        variation,
        max_loss,
        normalizer,
    )


def _check_model_fn(model_fn):
    if not callable(model_fn) or isinstance(model_fn, keras.Model):
        raise ValueError(
            "`model_fn` must be a function that returns a new Keras model. "
            f"Received: model_fn={model_fn!r}"
        )


def _averaged(loss):
    """A loss by its name, or a function, averaged as `compile` does."""
    if isinstance(loss, dict):
        return {key: _averaged(part) for key, part in loss.items()}
    if isinstance(loss, (list, tuple)):
        return [_averaged(part) for part in loss]
    found = loss if loss is None else keras.losses.get(loss)
    is_plain = callable(found) and not isinstance(found, keras.losses.Loss)
    return FunctionLoss(found) if is_plain else found


def _built(model, dataset, batch_size):
    """The model, with its weights made."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            "`model_fn` must return a Keras model. "
            f"Received: {model!r}, of type {type(model).__name__}"
        )
    if not model.built:
        dtype = {"uint8": "float32"}
        model(
            tf.nest.map_structure(
                lambda a: keras.ops.zeros(
                    (batch_size, *a.shape[1:]),
                    dtype.get(a.dtype.name, a.dtype.name),
                ),
                dataset.inputs,
            )
        )
    return model


def as_dataset(data, name="user", num_classes=None):
    """A `Dataset` of a user's arrays or `tf.data.Dataset`s.

    Args:
        data: A pair of arrays (inputs, targets), or of nests of arrays; a
            finite `tf.data.Dataset` of such pairs, not batched; or a dict
            from split to any of these, with the splits "train",
            "inner_valid", "outer_valid", "test".
        name: Of the data.
        num_classes: Number of classes of int targets [n], for labels that
            are permuted and for the scale of the loss; None: targets are
            whatever the loss takes.

    Returns:
        A `Dataset`; what has no splits is shuffled once and split as
        `datasets.SPLIT_FRACTIONS` says.
    """
    if not isinstance(data, dict):
        arrays = _arrays(data, "data")
        sizes = {len(a) for a in tf.nest.flatten(arrays) if a.ndim}
        size = max(sizes, default=0)
        if len(sizes) == 1:  # Else `Dataset` says what is wrong.
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
    """(inputs, targets) as arrays of the dtypes that a `Dataset` has."""
    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                f"`{field}` must be finite: it is read once into memory. "
                "Received: a tf.data.Dataset without end; use `.take(count)`"
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
    """One array of examples' arrays."""
    shapes = {np.shape(leaf) for leaf in leaves}
    if len(shapes) > 1:
        raise ValueError(
            f"`{field}` must have examples of one shape: pad, crop or resize "
            f"them. Received: shapes {sorted(shapes)[:3]}"
        )
    return np.stack(leaves)


def _target(array):
    """An array of targets; bytes are class numbers, not pixels."""
    array = _standard(array)
    return array.astype(np.int32) if array.dtype == np.uint8 else array


def _standard(array):
    """An array as float32, int32 or uint8."""
    array = np.asarray(array)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind in "iub" and array.dtype != np.uint8:
        return array.astype(np.int32)
    return array  # `Dataset` says what is wrong with the others.

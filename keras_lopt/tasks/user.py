"""A user's own Keras model, loss and data as a task."""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_lopt.tasks.augmentation.variation import Variation
from keras_lopt.tasks.data.arrays import as_dataset
from keras_lopt.tasks.data.dataset import Dataset
from keras_lopt.tasks.losses import FunctionLoss
from keras_lopt.tasks.normalizers import FromStart, Normalizer
from keras_lopt.tasks.task import Task


def from_keras(
    model_fn: Callable[[], keras.Model],
    loss: object,
    data: object,
    batch_size: int,
    *,
    name: str = "keras",
    variation: Variation | None = None,
    max_loss: float | None = None,
    normalizer: Normalizer | FromStart | None = None,
) -> Task:
    """A task of any Keras model, which trains as it does in `fit`.

    Args:
        model_fn: Function without arguments that returns a new Keras model,
            built or not. The values of its weights are not used: problems
            start from values of the layers' initializers.
        loss: A loss as for `model.compile`, or None if the model adds all of
            its loss itself.
        data: A `tasks.Dataset`, or data as for `as_dataset`. Inputs of dtype
            uint8 are images, which the model sees as float32 in [0, 1].
        batch_size: Examples per step.
        name: Name of the task and of its dataset.
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
    """A loss whose functions are averaged over the batch, as by `compile`."""
    if isinstance(loss, dict):
        return {key: _averaged(part) for key, part in loss.items()}
    if isinstance(loss, (list, tuple)):
        return [_averaged(part) for part in loss]
    found = loss if loss is None else keras.losses.get(loss)
    is_plain = callable(found) and not isinstance(found, keras.losses.Loss)
    return FunctionLoss(found) if is_plain else found


def _built(model, dataset, batch_size):
    """`model`, after its weights are built."""
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

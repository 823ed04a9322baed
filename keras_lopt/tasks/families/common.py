"""What families of classifiers and of pixels share."""

import functools
import zlib

import keras
import numpy as np

from keras_lopt.tasks import layers, sources
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.normalizers import Normalizer, chance
from keras_lopt.tasks.variation import Variation

#: Real images that need no download.
EMBEDDED_IMAGES = ("digits8", "digits8", "digits4")
BATCH = 8, 256


def as_variation(variation):
    """A `Variation` of one, of a dict of its arguments, or of None."""
    if isinstance(variation, Variation):
        return variation
    return Variation(**(variation or {}))


def task_name(family, dataset, *config):
    """A short name: family, data, and a digest of the configuration."""
    return f"{family}_{dataset.name}_{zlib.crc32(repr(config).encode()):08x}"


def classifier(name, body, dataset, batch_size, variation, center=False):
    """A task: a dataset's inputs classified by a body and a linear layer.

    Args:
        name: Of the task.
        body: Function from a symbolic tensor to another, of flat features.
        dataset: A `tasks.Dataset` with classes.
        batch_size, variation: As for `Task`.
        center: Whether inputs in [0, 1] are moved to [-1, 1].
    """

    def model_fn():
        inputs = keras.Input(
            dataset.inputs.shape[1:], dtype=input_dtype(dataset)
        )
        x = keras.layers.Rescaling(2.0, -1.0)(inputs) if center else inputs
        outputs = layers.Dense(dataset.num_classes)(body(x))
        return keras.Model(inputs, outputs)

    return Task(
        name,
        model_fn,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        dataset,
        batch_size,
        as_variation(variation),
        normalizer=chance(dataset.num_classes),
    )


def input_dtype(dataset):
    """What a model's input is: tokens stay integers."""
    return "int32" if dataset.inputs.dtype == np.int32 else "float32"


def dense(width, initializer, **kwargs):
    """A dense layer whose initializer is a name or a dict."""
    return layers.Dense(width, kernel_initializer=new(initializer), **kwargs)


def new(initializer):
    """A Keras initializer of its own for every layer."""
    return keras.initializers.get(initializer)


def image_config(sampler):
    """Arguments that all families of images have, for classification."""
    return {
        "data": sampler.choice(EMBEDDED_IMAGES),
        "batch_size": sampler.log_int(*BATCH),
        "variation": sampler.variation(labels=True),
    }


@functools.lru_cache(maxsize=8)
def _train_pixels(data):
    inputs, _ = sources.get(data).arrays("train")
    scale = 255.0 if inputs.dtype == np.uint8 else 1.0
    return inputs.reshape(len(inputs), -1)[:10_000] / np.float32(scale)


def pixel_normalizer(data, loss, reduce):
    """1.0 is the loss of the mean image.

    Args:
        data: Name of the images.
        loss: "l1" or "l2".
        reduce: "mean" or "sum" over pixels.
    """
    pixels = _train_pixels(data)
    errors = pixels - pixels.mean(axis=0)
    errors = np.abs(errors) if loss == "l1" else np.square(errors)
    unit = errors.mean() * (pixels.shape[1] if reduce == "sum" else 1)
    return Normalizer(unit=float(unit), ceiling=4.0)

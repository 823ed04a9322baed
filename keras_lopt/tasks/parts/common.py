"""What families of classifiers and of images share."""

import functools
import zlib

import keras
import numpy as np

from keras_lopt.tasks import layers
from keras_lopt.tasks.augmentation.variation import Variation
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.normalizers import Normalizer, chance
from keras_lopt.tasks.task import Task

#: Real images that need no download, one per draw.
EMBEDDED_IMAGES = ("digits8", "digits8", "digits4")
#: Range of the batch size.
BATCH = 8, 256


def as_variation(variation):
    """A `Variation` from one, from a dict of its arguments, or from None."""
    if isinstance(variation, Variation):
        return variation
    return Variation(**(variation or {}))


def input_shape(dataset, variation):
    """Shape of an input of a model, without the batch.

    Args:
        dataset: A `tasks.Dataset` of one array of inputs.
        variation: As for `as_variation`.
    """
    features = as_variation(variation).projection
    return dataset.inputs.shape[1:] if features is None else (features,)


def digest(config):
    """Eight hexadecimal digits that tell configurations apart."""
    return f"{zlib.crc32(repr(config).encode()):08x}"


def task_name(family, dataset, *config):
    """A short name: family, dataset, and a digest of the configuration."""
    return f"{family}_{dataset.name}_{digest(config)}"


def initializer_of(config):
    """A new Keras initializer from its name or its configuration as a dict."""
    return keras.initializers.get(config)


def dense(width, initializer, **kwargs):
    """A dense layer; `initializer` is a name or a dict."""
    return layers.Dense(
        width, kernel_initializer=initializer_of(initializer), **kwargs
    )


def perceptron(x, hidden, activation, initializer="glorot_uniform", **kwargs):
    """Dense layers, each followed by an activation.

    Args:
        x: [batch, features], a symbolic tensor.
        hidden: Widths of the layers.
        activation: As for `layers.activation`.
        initializer: Name or configuration of a Keras initializer.
        **kwargs: Other arguments of the dense layers.

    Returns:
        [batch, last width], or `x` itself if `hidden` is empty.
    """
    for width in hidden:
        x = dense(width, initializer, **kwargs)(x)
        x = layers.activation(activation)(x)
    return x


def classifier(
    name,
    body,
    dataset,
    batch_size,
    variation,
    center=False,
    normalizer=None,
):
    """A task: classification by a body and a linear layer.

    Args:
        name: Name of the task.
        body: Function from a symbolic tensor of inputs to one of flat
            features.
        dataset: A `tasks.Dataset` with classes.
        batch_size: Examples per step.
        variation: As for `as_variation`.
        center: Whether inputs in [0, 1] are moved to [-1, 1].
        normalizer: A `tasks.Normalizer`. Default: 1.0 is guessing.
    """

    def model_fn():
        inputs = keras.Input(
            input_shape(dataset, variation), dtype=input_dtype(dataset)
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
        normalizer=normalizer or chance(dataset.num_classes),
    )


def input_dtype(dataset):
    """The dtype of a model's inputs: int32 for tokens, else float32."""
    return "int32" if dataset.inputs.dtype == np.int32 else "float32"


def image_config(sampler):
    """Arguments that all families have that classify images."""
    return {
        "data": sampler.choice(EMBEDDED_IMAGES),
        "batch_size": sampler.log_int(*BATCH),
        "variation": sampler.variation(labels=True),
    }


@functools.lru_cache(maxsize=8)
def _train_pixels(data):
    inputs, _ = datasets.get(data).arrays("train")
    scale = 255.0 if inputs.dtype == np.uint8 else 1.0
    return inputs.reshape(len(inputs), -1)[:10_000] / np.float32(scale)


def pixel_normalizer(data, loss, reduce):
    """A `Normalizer` for which 1.0 is the loss of the mean image.

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

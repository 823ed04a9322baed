"""Images classified by residual convolutions (He et al. 2015, 1512.03385)."""

import keras

from keras_lopt.checks import check_choice
from keras_lopt.tasks import layers
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register_family

NORMALIZATIONS = ("batch", "layer", "none")


def draw(sampler):
    """Draws a configuration of `resnet`."""
    return {
        "channels": sampler.log_int(8, 32),
        "stages": sampler.integer(1, 3),
        "blocks": sampler.integer(1, 2),
        "normalization": sampler.choice(NORMALIZATIONS),
        "dropout": sampler.choice((0.0, 0.0, 0.2)),
        "activation": sampler.activation(),
        **common.image_config(sampler),
    }


@register_family(draw)
def resnet(
    channels=8,
    stages=2,
    blocks=1,
    normalization="batch",
    dropout=0.0,
    activation="relu",
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images classified by blocks of two 3x3 convolutions and a skip.

    Args:
        channels: Channels of the first stage. Every further stage has twice
            the channels and half the image size.
        stages: Number of stages.
        blocks: Number of blocks per stage.
        normalization: "batch", "layer" or "none", before every activation.
        dropout: Dropout rate before the classifier.
        activation, data: As for `mlp`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    check_choice("normalization", normalization, NORMALIZATIONS)
    dataset = datasets.get(data)
    name = common.task_name(
        "resnet",
        dataset,
        channels,
        stages,
        blocks,
        normalization,
        dropout,
        activation,
        batch_size,
    )

    def body(x):
        x = _convolution(channels)(x)
        for number in range(stages * blocks):
            stage, block = divmod(number, blocks)
            stride = 2 if stage > 0 and block == 0 else 1
            width = channels * 2**stage
            x = _block(x, width, stride, normalization, activation)
        x = _activated(x, normalization, activation)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.layers.Dropout(dropout)(x) if dropout else x

    return common.classifier(name, body, dataset, batch_size, variation)


def _block(x, width, stride, *activated):
    """Two convolutions and a skip; `activated`: arguments of `_activated`."""
    skip = _convolution(width, 1, stride)(x) if stride > 1 else x
    y = _convolution(width, 3, stride)(_activated(x, *activated))
    y = _convolution(width)(_activated(y, *activated))
    return keras.layers.Add()([skip, y])


def _activated(x, normalization, activation):
    """Normalizes and activates a symbolic tensor; arguments as `resnet`."""
    if normalization == "batch":
        # Faster than Keras's 0.99, because runs have a few hundred steps.
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    elif normalization == "layer":
        x = keras.layers.LayerNormalization()(x)
    return layers.activation(activation)(x)


def _convolution(channels, size=3, strides=1):
    return keras.layers.Conv2D(
        channels,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )

"""Stacks of convolutions that fit images of any size."""

import keras

from keras_lopt.checks import check_choice
from keras_lopt.tasks import layers
from keras_lopt.tasks.families import common

STRIDES = ("all", "second", "first")


def draw(sampler):
    """Arguments of `stack`, and those of all families of images."""
    channels = sampler.widths(range(1, 6), 8, 64)
    return {
        "channels": channels,
        "strides": sampler.choice(STRIDES),
        "padding": tuple(sampler.choice(("same", "valid")) for _ in channels),
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "use_bias": sampler.chance(0.5),
        "center": sampler.chance(0.5),
        **common.image_config(sampler),
    }


def stack(x, channels, strides, padding, activation, initializer, use_bias):
    """3x3 convolutions of a symbolic tensor.

    Args:
        x: [batch, height, width, channels].
        channels: Of each layer.
        strides: Which layers have strides of 2: "all", "second" (every second
            one, from the second) or "first" (from the first).
        padding: "same" or "valid" of each layer; an image that is too small
            for "valid" is padded.
        activation, initializer: As for the family `mlp`.
        use_bias: Whether layers have biases.
    """
    check_choice("strides", strides, STRIDES)
    if len(padding) != len(channels):
        raise ValueError(
            "`padding` must be of each of the layers that `channels` has. "
            f"Received: padding={padding!r}, channels={channels!r}"
        )
    for i, (width, pad) in enumerate(zip(channels, padding)):
        halved = strides == "all" or (i % 2 == 1) == (strides == "second")
        x = keras.layers.Conv2D(
            width,
            3,
            strides=2 if halved else 1,
            padding=pad if min(x.shape[1:3]) >= 3 else "same",
            use_bias=use_bias,
            kernel_initializer=common.new(initializer),
        )(x)
        x = layers.activation(activation)(x)
    return x

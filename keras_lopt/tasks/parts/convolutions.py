"""Stacks of convolutions that fit images of any size."""

import keras

from keras_lopt.checks import check_choice
from keras_lopt.tasks import layers
from keras_lopt.tasks.parts import common

STRIDES = ("all", "second", "first")


def draw(sampler):
    """Draws arguments of `stack` and those of all families of images."""
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
    """3x3 convolutions, each followed by an activation.

    Args:
        x: [batch, height, width, channels], a symbolic tensor.
        channels: Number of channels per layer.
        strides: Which layers have stride 2: "all" of them, "second" (layers
            2, 4, ...) or "first" (layers 1, 3, ...).
        padding: "same" or "valid" per layer. An image that is too small for
            "valid" gets "same".
        activation, initializer: As for the family `mlp`.
        use_bias: Whether layers have biases.
    """
    check_choice("strides", strides, STRIDES)
    if len(padding) != len(channels):
        raise ValueError(
            "`padding` must have one entry per layer, as `channels` has. "
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
            kernel_initializer=common.initializer_of(initializer),
        )(x)
        x = layers.activation(activation)(x)
    return x

"""Images classified by convolutions and a global pool."""

import keras
from keras import ops

from keras_lopt.checks import check_choice
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.parts import common, convolutions
from keras_lopt.tasks.registry import register_family

POOLS = ("mean", "max", "squared_mean")


def draw(sampler):
    """Draws a configuration of `conv_pooling`."""
    return {"pool": sampler.choice(POOLS), **convolutions.draw(sampler)}


@register_family(draw)
def conv_pooling(
    channels=(8, 16),
    strides="all",
    padding=("same", "same"),
    pool="mean",
    activation="relu",
    initializer="he_normal",
    use_bias=True,
    center=False,
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images classified by convolutions, a global pool and a linear layer.

    Args:
        channels, strides, padding, use_bias: As for `convolutions.stack`.
        pool: "mean", "max" or "squared_mean".
        activation, initializer, center, data: As for `mlp`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    check_choice("pool", pool, POOLS)
    dataset = datasets.get(data)
    convolution = (
        channels,
        strides,
        padding,
        activation,
        initializer,
        use_bias,
    )
    name = common.task_name(
        "conv_pooling", dataset, convolution, pool, center, batch_size
    )

    def body(x):
        x = convolutions.stack(x, *convolution)
        if pool == "max":
            return keras.layers.GlobalMaxPooling2D()(x)
        x = ops.square(x) if pool == "squared_mean" else x
        return keras.layers.GlobalAveragePooling2D()(x)

    return common.classifier(name, body, dataset, batch_size, variation, center)

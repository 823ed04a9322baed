"""Images classified by convolutions and dense layers."""

import keras

from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.parts import common, convolutions
from keras_lopt.tasks.registry import register_family


def draw(sampler):
    """Draws a configuration of `conv_fc`."""
    hidden = sampler.widths(range(0, 4), 32, 128)
    return {"hidden": hidden, **convolutions.draw(sampler)}


@register_family(draw)
def conv_fc(
    channels=(8, 16),
    strides="all",
    padding=("same", "same"),
    hidden=(32,),
    activation="relu",
    initializer="he_normal",
    use_bias=True,
    center=False,
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images classified by convolutions and an MLP on their outputs.

    Args:
        channels, strides, padding, use_bias: As for `convolutions.stack`.
        hidden: Widths of the dense layers; may be empty.
        activation, initializer, center, data: As for `mlp`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
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
        "conv_fc", dataset, convolution, hidden, center, batch_size
    )

    def body(x):
        x = keras.layers.Flatten()(convolutions.stack(x, *convolution))
        return common.perceptron(
            x, hidden, activation, initializer, use_bias=use_bias
        )

    return common.classifier(name, body, dataset, batch_size, variation, center)

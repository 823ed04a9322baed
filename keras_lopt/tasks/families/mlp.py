"""Images classified by multi-layer perceptrons."""

import keras

from keras_lopt.tasks import layers, sources
from keras_lopt.tasks.families import common
from keras_lopt.tasks.registry import register_family


def draw(sampler):
    """A configuration of `mlp`."""
    return {
        "hidden": sampler.widths(range(1, 7), 16, 128),
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "center": sampler.chance(0.5),
        **common.image_config(sampler),
    }


@register_family(draw)
def mlp(
    hidden=(32,),
    activation="relu",
    initializer="glorot_uniform",
    center=False,
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images classified by an MLP.

    Args:
        hidden: Widths of the hidden layers.
        activation: As for `layers.activation`.
        initializer: A Keras initializer's name or configuration.
        center: Whether pixels are in [-1, 1], not [0, 1].
        data: Name of images, as for `sources.get`.
        batch_size, variation: As for `Task`; or a dict for `Variation`.
    """
    dataset = sources.get(data)
    name = common.task_name(
        "mlp", dataset, hidden, activation, initializer, center, batch_size
    )

    def body(x):
        x = keras.layers.Flatten()(x)
        for width in hidden:
            x = common.dense(width, initializer)(x)
            x = layers.activation(activation)(x)
        return x

    return common.classifier(name, body, dataset, batch_size, variation, center)

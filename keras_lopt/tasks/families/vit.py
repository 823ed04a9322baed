"""Images classified by transformers (Dosovitskiy et al. 2020, 2010.11929)."""

import keras

from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.parts import attention, common
from keras_lopt.tasks.registry import register_family


def draw(sampler):
    """Draws a configuration of `vit`."""
    return {
        **attention.draw(sampler),
        "patch": sampler.choice((1, 2)),
        **common.image_config(sampler),
    }


@register_family(draw)
def vit(
    embed=16,
    heads=2,
    depth=1,
    expansion=2,
    patch=2,
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images classified by attention among patches.

    Args:
        embed, heads, depth, expansion: As for `attention.blocks`.
        patch: Side of the patches in pixels.
        data, batch_size, variation: As for `mlp`.
    """
    dataset = datasets.get(data)
    config = embed, heads, depth, expansion
    name = common.task_name("vit", dataset, config, patch, batch_size)

    def body(x):
        x = keras.layers.Conv2D(embed, patch, strides=patch)(x)
        x = keras.layers.Reshape((-1, embed))(x)
        x = attention.blocks(x, *config, causal=False)
        return keras.layers.GlobalAveragePooling1D()(x)

    return common.classifier(name, body, dataset, batch_size, variation)

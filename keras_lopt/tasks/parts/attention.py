"""Transformer blocks (Vaswani et al. 2017, arXiv 1706.03762)."""

import keras

from keras_lopt.checks import check_integer


def draw(sampler):
    """Draws arguments of `blocks`."""
    heads = sampler.choice((1, 2, 4))
    return {
        "embed": heads * max(2, round(sampler.log_float(8, 128) / heads)),
        "heads": heads,
        "depth": sampler.integer(1, 4),
        "expansion": sampler.choice((1, 2, 4)),
    }


@keras.saving.register_keras_serializable(package="keras_lopt")
class Positions(keras.layers.Layer):
    """Adds a learned vector at each position of a sequence."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.positions_initializer = keras.initializers.RandomNormal(
            stddev=0.02
        )

    def build(self, input_shape):
        self.positions = self.add_weight(
            name="positions",
            shape=input_shape[1:],
            initializer=self.positions_initializer,
        )

    def call(self, inputs):
        return inputs + self.positions


def blocks(x, embed, heads, depth, expansion, causal):
    """Transformer blocks that normalize before each part.

    Args:
        x: [batch, length, embed], a symbolic tensor.
        embed: Number of features; divisible by `heads`.
        heads: Number of attention heads.
        depth: Number of blocks.
        expansion: Width of the dense layers' hidden units over `embed`.
        causal: Whether a position attends only to itself and earlier ones.
    """
    for name, value in (("heads", heads), ("depth", depth)):
        check_integer(name, value, 1)
    if embed % heads:
        raise ValueError(
            "`embed` must be divisible by `heads`. "
            f"Received: embed={embed}, heads={heads}"
        )
    x = Positions()(x)
    for _ in range(depth):
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.MultiHeadAttention(
            heads,
            embed // heads,
            # XLA cannot compile its gradient on all devices.
            flash_attention=False,
        )(y, y, use_causal_mask=causal)
        x = keras.layers.Add()([x, y])
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.Dense(expansion * embed, activation="gelu")(y)
        x = keras.layers.Add()([x, keras.layers.Dense(embed)(y)])
    return keras.layers.LayerNormalization()(x)

"""Distributions over tasks, one file each; importing it registers them."""

from keras_lopt.tasks.families import (
    conv_fc,
    conv_pooling,
    losg,
    mlp,
    mlp_ae,
    mlp_vae,
    quadratic,
    random_data,
    resnet,
    rnn_char_lm,
    rnn_text,
    rnn_word_lm,
    tabular,
    transformer_lm,
    vit,
)

__all__ = [
    "conv_fc",
    "conv_pooling",
    "losg",
    "mlp",
    "mlp_ae",
    "mlp_vae",
    "quadratic",
    "random_data",
    "resnet",
    "rnn_char_lm",
    "rnn_text",
    "rnn_word_lm",
    "tabular",
    "transformer_lm",
    "vit",
]

"""Families: distributions over tasks, one file each.

Importing this package registers them. What they are built from is in
`keras_lopt.tasks.parts`.
"""

from keras_lopt.tasks.families import (
    conv_fc,
    conv_pooling,
    lopt,
    losg,
    maf,
    mlp,
    mlp_ae,
    mlp_vae,
    nvp,
    quadratic,
    random_data,
    resnet,
    rnn_lm,
    rnn_text,
    tabular,
    teacher,
    transformer_lm,
    vit,
)

__all__ = [
    "conv_fc",
    "conv_pooling",
    "lopt",
    "losg",
    "maf",
    "mlp",
    "mlp_ae",
    "mlp_vae",
    "nvp",
    "quadratic",
    "random_data",
    "resnet",
    "rnn_lm",
    "rnn_text",
    "tabular",
    "teacher",
    "transformer_lm",
    "vit",
]

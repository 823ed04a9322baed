"""Sizes of convolutions and dense layers."""

import keras

from keras_lopt import tasks


def test_layers_have_their_channels_and_strides(layers_of):
    task = tasks.get(
        "conv_fc",
        channels=(3, 5, 2),
        strides="second",
        padding=("valid", "same", "valid"),
        hidden=(7,),
        use_bias=False,
    )
    found = layers_of(task, keras.layers.Conv2D)
    assert [x.filters for x in found] == [3, 5, 2]
    assert [x.strides for x in found] == [(1, 1), (2, 2), (1, 1)]
    # 8 pixels, 6 after "valid", 3 after the stride, 1 after "valid".
    assert [x.output.shape[1] for x in found] == [6, 3, 1]
    assert [x.units for x in layers_of(task, keras.layers.Dense)] == [7, 10]
    assert not any(x.use_bias for x in found)


def test_hidden_dense_layers_are_optional(layers_of):
    task = tasks.get("conv_fc", hidden=(), data="digits4")
    assert len(layers_of(task, keras.layers.Dense)) == 1

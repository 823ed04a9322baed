"""Residual networks: sizes, normalization, the skip."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks


@pytest.mark.parametrize(
    "normalization, kind, state",
    [
        ("batch", keras.layers.BatchNormalization, 2),
        ("layer", keras.layers.LayerNormalization, 0),
        ("none", keras.layers.Layer, 0),
    ],
)
def test_every_activation_has_its_normalization(
    normalization, kind, state, layers_of
):
    task = tasks.get(
        "resnet", channels=2, stages=1, normalization=normalization
    )
    statistics = len(task.model.non_trainable_variables)
    count = len(layers_of(task, kind))
    # Before both convolutions of the block and before the pool.
    assert normalization == "none" or count == 3
    assert statistics == 3 * state


def test_a_stage_halves_the_image_and_doubles_the_channels(layers_of):
    task = tasks.get("resnet", channels=3, stages=3, blocks=2)
    (pool,) = layers_of(task, keras.layers.GlobalAveragePooling2D)
    assert pool.input.shape == (None, 2, 2, 12)
    assert len(layers_of(task, keras.layers.Add)) == 6


def test_only_the_skip_is_left_if_blocks_output_zero(layers_of, outputs_of):
    task = tasks.get("resnet", channels=3, stages=1, normalization="none")
    x = task.dataset.inputs[:4]
    for layer in layers_of(task, keras.layers.Conv2D)[1:]:
        layer.kernel.assign(tf.zeros(layer.kernel.shape))
    first = layers_of(task, keras.layers.Conv2D)[0](x)
    (dense,) = layers_of(task, keras.layers.Dense)
    features = np.mean(np.maximum(first, 0.0), axis=(1, 2))
    np.testing.assert_allclose(task.model(x), dense(features), atol=1e-5)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="`normalization` must be one of"):
        tasks.get("resnet", normalization="group")

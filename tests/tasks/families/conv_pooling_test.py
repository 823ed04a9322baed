"""Convolutions and a global pool."""

import keras
import numpy as np
import pytest

from keras_lopt import tasks

POOLS = {
    "mean": lambda x: np.mean(x, axis=(1, 2)),
    "max": lambda x: np.max(x, axis=(1, 2)),
    "squared_mean": lambda x: np.mean(np.square(x), axis=(1, 2)),
}


@pytest.mark.parametrize("pool", POOLS)
def test_positions_are_pooled(pool, layers_of, rng):
    task = tasks.get(
        "conv_pooling",
        channels=(3,),
        padding=("same",),
        activation="tanh",
        pool=pool,
    )
    (convolution,) = layers_of(task, keras.layers.Conv2D)
    (dense,) = layers_of(task, keras.layers.Dense)
    x = rng.uniform(size=(2, 8, 8, 1)).astype(np.float32)
    features = POOLS[pool](np.tanh(convolution(x)))
    np.testing.assert_allclose(task.model(x), dense(features), rtol=1e-4)


def test_an_unknown_pool_is_refused():
    with pytest.raises(ValueError, match="`pool` must be one of .*'sum'"):
        tasks.get("conv_pooling", pool="sum")

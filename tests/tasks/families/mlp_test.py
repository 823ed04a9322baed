"""MLPs on images."""

import keras
import numpy as np

from keras_lopt import tasks


def test_the_formula(layers_of, rng):
    task = tasks.get(
        "mlp", hidden=(5, 4), activation="leaky_relu_0.2", center=True
    )
    first, second, last = layers_of(task, keras.layers.Dense)

    def leaky(x):
        return np.where(x > 0.0, x, 0.2 * x)

    x = rng.uniform(size=(3, 8, 8, 1)).astype(np.float32)
    flat = 2.0 * x.reshape(3, 64) - 1.0
    expected = last(leaky(np.asarray(second(leaky(np.asarray(first(flat)))))))
    np.testing.assert_allclose(task.model(x), expected, rtol=1e-4, atol=1e-5)


def test_layers_have_initializers_of_their_own(layers_of):
    scale = {"class_name": "RandomNormal", "config": {"stddev": 3.0}}
    task = tasks.get("mlp", hidden=(5, 4), initializer=scale)
    *hidden, _ = layers_of(task, keras.layers.Dense)
    found = [layer.kernel_initializer for layer in hidden]
    assert [x.stddev for x in found] == [3.0, 3.0]
    assert found[0] is not found[1]

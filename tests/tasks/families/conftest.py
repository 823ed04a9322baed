"""Fixtures that the tests of single families share."""

import keras
import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def layers_of():
    """Callable: task and class -> the model's layers of that class."""

    def find(task, kind):
        return [x for x in task.model._flatten_layers() if isinstance(x, kind)]

    return find


@pytest.fixture(scope="session")
def outputs_of():
    """Callable: task and inputs -> the outputs of a model with random weights.

    The weights are those of a problem plus some noise, because biases and the
    like start at zero.
    """

    def call(task, inputs, training=False):
        params, state = task.begin(tf.constant([1, 2]))
        noise = keras.random.SeedGenerator(0)
        params = [
            p + keras.random.normal(p.shape, stddev=0.1, seed=noise)
            for p in params
        ]
        return task.model.stateless_call(
            params, state, inputs, training=training
        )[0]

    return call

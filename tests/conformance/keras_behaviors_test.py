"""Keras' own tests of optimizers, in our words, on all three backends."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import keras_behaviors
from tests.conformance.keras_behaviors import BEHAVIORS, START, optimizer
from tests.conformance.other_backends import run


@pytest.mark.parametrize("behavior", BEHAVIORS, ids=lambda b: b.__name__)
def test_on_tensorflow(behavior):
    behavior()


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_on_other_backends(backend):
    program = (
        "import runpy\n"
        "runpy.run_module('tests.conformance.keras_behaviors', "
        "run_name='__main__', alter_sys=False)"
    )
    run(backend, program)


# What only TensorFlow has.


def test_variables_of_tensorflow_mix_with_those_of_keras():
    ours, theirs = keras.Variable(START), tf.Variable(START)
    one = optimizer()
    ones = keras_behaviors.tensor(keras_behaviors.ONES)
    one.apply_gradients([(ones, ours), (ones, theirs)])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        one.apply_gradients([(ones, ours), (None, theirs)])
    np.testing.assert_allclose(ours, START - 2.0)
    np.testing.assert_allclose(theirs, START - 1.0)
    assert int(one.iterations) == 2


def test_a_tensorflow_checkpoint_takes_training_back(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer(learning_rate=0.25), "mse", run_eagerly=True)
    x, y = np.float32([[1.0, 2.0]]), np.float32([[1.0]])
    model.train_on_batch(x, y)
    expected = model.predict(x, verbose=0)
    checkpoint = tf.train.Checkpoint(model, optimizer=model.optimizer)
    path = checkpoint.save(tmp_path / "checkpoint")
    model.train_on_batch(2.0 * x, y)
    checkpoint.restore(path)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    assert int(model.optimizer.iterations) == 1

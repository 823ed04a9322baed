"""Masked autoregressive flows: which output depends on which input."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.tasks.families import maf
from keras_lopt.tasks.parts import flows


def test_an_output_depends_only_on_earlier_entries(rng):
    layer = maf.MAF(((7, 5), "tanh", "glorot_uniform"), 1)
    layer.build((None, 4))
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    x = tf.constant(rng.normal(size=(1, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = flows.run(layer.networks[0], x)
    jacobian = tape.jacobian(outputs, x).numpy().reshape(4, 2, 4)
    is_before = np.arange(4) < np.arange(4)[:, None]
    for number in range(2):  # Shifts, then scales.
        depends = jacobian[:, number] != 0.0
        np.testing.assert_array_equal(depends, is_before)


def test_hidden_units_cycle_through_the_degrees():
    found = maf.degrees(3, (5,))
    assert [list(d) for d in found] == [
        [1, 2, 3],
        [1, 2, 1, 2, 1],
        [1, 1, 2, 2, 3, 3],
    ]


@pytest.mark.parametrize("size", [1, 2])
def test_small_inputs_have_degrees_too(size):
    assert [max(d) for d in maf.degrees(size, (3,))] == [size, 1, size]

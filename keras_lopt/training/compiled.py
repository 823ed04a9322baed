"""Compilation of pure functions for the replicas of a strategy."""

import numpy as np
import tensorflow as tf


def compiled(function, *examples):
    """XLA-compiled `function` for arguments like the examples.

    Traced here, outside the strategy, where Keras does not scale losses by
    the number of replicas; and once, not once per replica.
    """
    specs = tf.nest.map_structure(
        lambda t: tf.TensorSpec(np.shape(t), tf.convert_to_tensor(t).dtype),
        examples,
    )
    function = tf.function(function, jit_compile=True)
    return function.get_concrete_function(*specs)

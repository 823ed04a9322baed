"""Functions of tensors: traced once, compiled by XLA."""

import threading

import numpy as np
import tensorflow as tf


def compiled(function, *examples):
    """XLA-compiled `function` for arguments like the examples.

    Traced here, outside the strategy, where Keras does not scale losses by
    the number of replicas; and once, not once per replica.
    """
    specs = tf.nest.map_structure(
        lambda t: (
            tf.TensorSpec(t.shape, t.dtype)
            if hasattr(t, "shape")
            else tf.TensorSpec(np.shape(t), tf.convert_to_tensor(t).dtype)
        ),
        examples,
    )
    function = tf.function(function, jit_compile=True, autograph=False)
    return function.get_concrete_function(*specs)


def traced_once(function):
    """`function` as one graph, for arguments like those of its first call.

    A `tf.function` may have several signatures, and looks for the one that
    fits some dozens of tensors in every call.
    """
    lock, graphs = threading.Lock(), []

    def call(*args):
        with lock:
            if not graphs:
                traced = tf.function(function, autograph=False)
                graphs.append(traced.get_concrete_function(*args))
        return graphs[0](*args)

    return call

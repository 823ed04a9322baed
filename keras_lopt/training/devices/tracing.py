"""Functions of tensors: traced once, compiled by XLA."""

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


class TracedOnce:
    """`function` as one graph, for arguments like those of its first call.

    A `tf.function` may have several signatures, and looks for the one that
    fits some dozens of tensors in every call.

    Args:
        function: A function of tensors.
    """

    def __init__(self, function):
        self._function = tf.function(function, autograph=False)
        self._graph = None

    def trace(self, *args):
        """Makes the graph, unless there is one; returns it.

        Not in threads: collective operations are numbered as they are traced,
        and all workers have to number them alike.
        """
        if self._graph is None:
            self._graph = self._function.get_concrete_function(*args)
        return self._graph

    def __call__(self, *args):
        self.trace(*args)
        return self._graph(*args)

    @property
    def num_traces(self):
        """How often it was traced, 0 or 1."""
        return int(self._graph is not None)

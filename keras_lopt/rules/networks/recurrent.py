"""Linear layers and an LSTM that run over all t tensors at once: [t, units].

The leaves of a layer are named `<layer>_w` and `<layer>_b`.
"""

import numpy as np
from keras import ops

from keras_lopt.rules.networks.layers import truncated_normal


def linear_shapes(layer, fan_in, fan_out):
    """Shapes of the leaves of one linear layer."""
    return {f"{layer}_w": (fan_in, fan_out), f"{layer}_b": (fan_out,)}


def lstm_shapes(layer, inputs, units):
    """Shapes of the leaves of one LSTM, including its initial state."""
    return {
        **linear_shapes(layer, inputs + units, 4 * units),
        f"{layer}_hidden": (1, units),
        f"{layer}_cell": (1, units),
    }


def init_layers(rng, shapes):
    """`_w` leaves truncated normal, stddev 1/sqrt(fan_in); the others zero."""
    theta = {}
    for leaf, shape in shapes.items():
        value = np.zeros(shape)
        if leaf.endswith("_w"):
            value = truncated_normal(rng, shape) / np.sqrt(shape[0])
        theta[leaf] = value.astype(np.float32)
    return theta


def linear(theta, layer, x):
    """[t, fan_in] -> [t, fan_out]."""
    return ops.matmul(x, theta[f"{layer}_w"]) + theta[f"{layer}_b"]


def init_lstm_state(theta, layer, count):
    """The learned initial state for `count` tensors, each part [t, units]."""
    return {
        state: ops.tile(
            ops.convert_to_tensor(theta[f"{layer}_{state}"], "float32"),
            (count, 1),
        )
        for state in ("hidden", "cell")
    }


def lstm(theta, layer, x, state):
    """One step of an LSTM (Hochreiter and Schmidhuber 1997).

    Args:
        theta: Dict of arrays.
        layer: Name of the layer.
        x: [t, inputs].
        state: As from `init_lstm_state`.

    Returns:
        The new state; its `hidden` is the output.
    """
    joined = ops.concatenate([x, state["hidden"]], axis=-1)
    gates = ops.split(linear(theta, layer, joined), 4, axis=-1)
    write, value, forget, read = gates  # Order of imported weights.
    kept = ops.sigmoid(forget + 1.0) * state["cell"]
    cell = kept + ops.sigmoid(write) * ops.tanh(value)
    return {"hidden": ops.sigmoid(read) * ops.tanh(cell), "cell": cell}

"""Per-parameter MLPs of `velo`, `celo` and `celo2`: theta and its inputs.

As in imported weights, the first layer has one leaf per group of inputs: w0_0,
w0_1, ...
"""

import math

import numpy as np
from keras import ops

from keras_lopt.rules.memory import history
from keras_lopt.rules.memory.factored import factored_features
from keras_lopt.rules.networks import layers

OUTPUTS = 3  # The third one is not used.
#: Gradients are clipped to this magnitude.
GRAD_LIMIT = 1000.0


def clipped(grad):
    return ops.clip(grad, -GRAD_LIMIT, GRAD_LIMIT)


def entry_features(entries, scale):
    """The groups of inputs, in the order of imported weights.

    Args:
        entries: The entries of `history.history_entries` as a dict of lists
            of tensors, for a whole tensor or a part of it.
        scale: Inverse root of the second moment.

    Returns:
        14 lists of tensors before normalization, with size 1 for dimensions
        along which they are constant. The last five describe rows and
        columns; for a vector they describe its second moments.
    """
    (grad,), momenta = entries["grad"], entries["momenta"]
    factored_grad, *factored = factored_features(entries, full_epsilon=0.0)
    return [
        [grad],
        [ops.clip(grad, -0.1, 0.1)],
        entries["param"],
        momenta,
        entries["second_moments"],
        [momentum * scale for momentum in momenta],
        [scale],
        factored_grad,
        [grad * scale],
        *factored,
    ]


def group_sizes():
    """Number of inputs in each group."""
    zero = ops.zeros((1,), dtype="float32")
    entries = history.history_entries(zero, zero, history.init_history((1,)))
    groups = layers.features_of_whole(
        lambda e: entry_features(e, zero), entries
    )
    return [len(group) for group in groups]


def theta_shapes(hidden_units, lead=()):
    """Shapes of the leaves of MLPs with two hidden layers.

    Args:
        hidden_units: Width of the hidden layers.
        lead: Leading axes of all leaves, for example of a bank of MLPs.
    """
    shapes = {
        f"w0_{i}": (size, hidden_units) for i, size in enumerate(group_sizes())
    }
    later = layers.mlp_shapes([0, hidden_units, hidden_units, OUTPUTS])
    shapes.update({k: v for k, v in later.items() if k != "w0"})
    return {k: (*lead, *v) for k, v in shapes.items()}


def init_theta(rng, shapes):
    """Weights truncated normal with stddev 1/sqrt(fan_in), biases zero."""
    first = sum(s[-2] for leaf, s in shapes.items() if leaf.startswith("w0_"))
    theta = {}
    for leaf, shape in shapes.items():
        value = np.zeros(shape)
        if leaf.startswith("w"):
            fan_in = first if leaf.startswith("w0_") else shape[-2]
            value = layers.truncated_normal(rng, shape) / math.sqrt(fan_in)
        theta[leaf] = value.astype(np.float32)
    return theta


def imported_paths(shapes):
    """Dict from leaf to its path in imported weights."""
    return {k: f"ff_mod_stack/~/{k.replace('_', '__')}" for k in shapes}

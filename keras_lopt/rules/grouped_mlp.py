"""Per-parameter MLPs of `velo`, `celo` and `celo2`: theta and its inputs.

Published weights keep the first layer by group of inputs: leaves w0_0, w0_1,
... of theta.
"""

import math

import numpy as np
from keras import ops

from keras_lopt.rules import blocks, history, networks
from keras_lopt.rules.factored import factored_features

OUTPUTS = 3  # The third is not used.
#: Largest gradient that these rules take.
GRAD_LIMIT = 1000.0


def clipped(grad):
    return ops.clip(grad, -GRAD_LIMIT, GRAD_LIMIT)


def entry_features(entries, scale):
    """The groups of inputs, in the order of the published weights.

    Args:
        entries: Dict of lists of tensors, those of `history.history_entries`,
            of all of a tensor or of a part.
        scale: Inverse root of the second moment.

    Returns:
        14 lists of tensors before normalisation, with 1 for a dimension that
        they are constant over. The last five are of rows and columns; a
        tensor without them has its second moments there.
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
    """Numbers of columns of the groups of inputs."""
    zero = ops.zeros((1,))
    entries = history.history_entries(zero, zero, history.init_history((1,)))
    groups = blocks.whole(lambda e: entry_features(e, zero), entries)
    return [len(group) for group in groups]


def theta_shapes(hidden_units, lead=()):
    """Shapes of the leaves of MLPs with two hidden layers.

    Args:
        hidden_units: Width of the hidden layers.
        lead: Leading axes of all leaves, as of a bank of MLPs.
    """
    shapes = {
        f"w0_{i}": (size, hidden_units) for i, size in enumerate(group_sizes())
    }
    later = networks.mlp_shapes([0, hidden_units, hidden_units, OUTPUTS])
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
            value = networks.truncated_normal(rng, shape) / math.sqrt(fan_in)
        theta[leaf] = value.astype(np.float32)
    return theta


def published_paths(shapes):
    """Where published weights have the leaves."""
    return {k: f"ff_mod_stack/~/{k.replace('_', '__')}" for k in shapes}

"""Per-parameter MLPs of `velo`, `celo` and `celo2`: theta and its inputs.

Published weights keep the first layer by group of inputs: leaves w0_0, w0_1,
... of theta.
"""

import math

import numpy as np
from keras import ops

from keras_lopt.rules import history, networks
from keras_lopt.rules.factored import factored_features

OUTPUTS = 3  # The third is not used.
#: Largest gradient that these rules take.
GRAD_LIMIT = 1000.0


def clipped(grad):
    return ops.clip(grad, -GRAD_LIMIT, GRAD_LIMIT)


def entry_features(grad, param, slots, scale):
    """The groups of inputs, in the order of the published weights.

    Args:
        grad: [*shape].
        param: [*shape].
        slots: As from `history.update_history`.
        scale: Inverse root of the second moments, [1, *shape].

    Returns:
        14 tensors before normalisation, each [k, *shape], with 1 for a
        dimension that it is constant over. The last five are of rows and
        columns; a tensor without them has its second moments there.
    """
    momenta = slots["momenta"]
    factored_grad, *factored = factored_features(
        slots["factored"], grad, momenta, full_epsilon=0.0
    )
    return [
        grad[None],
        ops.clip(grad, -0.1, 0.1)[None],
        param[None],
        momenta,
        slots["second_moments"],
        momenta * scale,
        scale,
        factored_grad,
        grad * scale,
        *factored,
    ]


def group_sizes():
    """Numbers of columns of the groups of inputs."""
    zero = ops.zeros((1,))
    slots = history.init_history((1,))
    features = entry_features(zero, zero, slots, slots["second_moments"])
    return [feature.shape[0] for feature in features]


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

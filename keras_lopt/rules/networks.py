"""Pieces the rules share: a small MLP on columns, embeddings, normalisers.

Networks here are feature-first: activations are [units, n], so that the n
entries of a tensor are contiguous and every layer is one matrix product.
"""

import numpy as np
from keras import ops

TIME_SCALES = (1.0, 3.0, 10.0, 30.0, 1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5)


def time_embed_tanh(step):
    """tanh(step / s - 1) for the 11 time scales s. [11]"""
    scales = ops.convert_to_tensor(TIME_SCALES, dtype="float32")
    return ops.tanh(ops.cast(step, "float32") / scales - 1.0)


def rms_factors(features):
    """One factor a row that brings it to RMS 1 (0 for a row of zeros).

    Args:
        features: [f, n].

    Returns:
        [f, 1], rsqrt(1e-5 + mean of squares).
    """
    # A product with ones: XLA on CPU vectorises it, but not a full reduce.
    size = features.shape[1]
    mean = ops.matmul(features * features, ops.ones((size, 1))) / size
    return ops.rsqrt(1e-5 + mean)


def mlp_shapes(sizes):
    """Shapes of the leaves w0, b0, w1, b1, ... of an MLP.

    Args:
        sizes: Numbers of inputs, hidden units and outputs.
    """
    shapes = {}
    for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:])):
        shapes[f"w{i}"] = (fan_in, fan_out)
        shapes[f"b{i}"] = (fan_out,)
    return shapes


def init_mlp(rng, sizes):
    """Weights truncated normal with stddev 1/sqrt(fan_in), biases zero.

    Args:
        rng: A `numpy.random.Generator`.
        sizes: As for `mlp_shapes`.
    """
    theta = {}
    for leaf, shape in mlp_shapes(sizes).items():
        value = np.zeros(shape)
        if leaf.startswith("w"):
            value = truncated_normal(rng, shape) / np.sqrt(shape[0])
        theta[leaf] = value.astype(np.float32)
    return theta


def truncated_normal(rng, shape):
    """Standard normal numbers, redrawn while beyond two."""
    value = rng.standard_normal(shape)
    while np.any(beyond := np.abs(value) > 2.0):
        value[beyond] = rng.standard_normal(int(beyond.sum()))
    return value


def layer(theta, index, x):
    """Linear layer `index` of an MLP: [fan_in, n] -> [fan_out, n]."""
    weights = ops.transpose(theta[f"w{index}"])
    return ops.matmul(weights, x) + theta[f"b{index}"][:, None]

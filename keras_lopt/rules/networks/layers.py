"""MLPs on columns of features, and the normalization of those features.

Networks here are feature-first: activations are [units, n], so that the n
entries of a tensor are contiguous. A layer is one matrix product. Where it is
narrow and compiled, it is instead one sum per unit, and XLA turns the whole
MLP into a single loop: on one core, a tensor of 2,000 entries and layers
11-8-8-2 took 5 ns per entry as sums and 11 ns as matrix products.
"""

import math

import numpy as np
from keras import ops

#: Widest layer that is compiled as one sum per unit. With 16 units `fused` took
#: 19 ns per entry as sums and 27 as products; with 32 units, 68 and 47.
UNROLLED_UNITS = 16
#: Smaller tensors use products, because the sums take long to compile.
UNROLLED_ENTRIES = 256


# Theta of an MLP.


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
    """Standard normal numbers; those beyond two are drawn again."""
    value = rng.standard_normal(shape)
    while np.any(beyond := np.abs(value) > 2.0):
        value[beyond] = rng.standard_normal(int(beyond.sum()))
    return value


def layers_from(theta, first):
    """List of weights and biases, from layer number `first` on."""
    if f"w{first}" not in theta:
        return []
    layer = theta[f"w{first}"], theta[f"b{first}"]
    return [layer, *layers_from(theta, first + 1)]


def first_layer(theta, shared):
    """Weights of the features, and the bias with the shared inputs added.

    Args:
        theta: Dict with w0 and b0.
        shared: [s], inputs that are the same for all entries; they belong to
            the last rows of w0.
    """
    count = theta["w0"].shape[0] - shared.shape[0]
    bias = theta["b0"] + ops.matmul(shared, theta["w0"][count:])  # [h]
    return theta["w0"][:count], bias


# The MLP.


def perceptron(layers, inputs, added=()):
    """MLP with ReLU between its layers.

    Args:
        layers: List of weights [fan_in, fan_out] and biases [fan_out].
        inputs: [fan_in, n], or a list of fan_in tensors with n entries each.
        added: What else is added to the units of the first layer: lists with
            one tensor per unit, which broadcasts to the shape of the inputs.

    Returns:
        [fan_out, n], or a list of fan_out tensors shaped like the inputs.
    """
    narrow = max(bias.shape[0] for _, bias in layers) <= UNROLLED_UNITS
    large = math.prod(inputs[0].shape) >= UNROLLED_ENTRIES
    unrolled = narrow and large and is_compiled(inputs[0])
    layer = _unrolled_layer if unrolled else _product_layer
    for i, (weights, bias) in enumerate(layers):
        if i:
            inputs, added = relu(inputs), ()
        inputs = layer(weights, bias, inputs, added)
    return inputs


def relu(units):
    """ReLU of a tensor, or of each tensor in a list."""
    is_list = isinstance(units, list)
    return [ops.relu(unit) for unit in units] if is_list else ops.relu(units)


def step_of(outputs, exp_mult):
    """Direction times magnitude: outputs 0 and 1 of an MLP. [n]"""
    return outputs[0] * ops.exp(outputs[1] * exp_mult)


def is_compiled(x):
    """Whether `x` is traced. If not, every operation on it is a call."""
    return not isinstance(x, np.ndarray) and not hasattr(x, "numpy")


def _product_layer(weights, bias, x, added=()):
    shape = x[0].shape
    x = ops.stack(x) if isinstance(x, list) else x
    x = ops.reshape(x, (x.shape[0], -1))
    units = ops.matmul(ops.transpose(weights), x) + bias[:, None]
    for parts in added:
        parts = [ops.reshape(ops.broadcast_to(p, shape), (-1,)) for p in parts]
        units = units + ops.stack(parts)
    return units


def _unrolled_layer(weights, bias, x, added=()):
    """List with one tensor per unit."""
    x = x if isinstance(x, list) else ops.unstack(x)
    units = []
    columns = ops.unstack(weights, axis=1)
    for column, *totals in zip(columns, ops.unstack(bias), *added, strict=True):
        total = sum(totals[1:], totals[0])
        for weight, row in zip(ops.unstack(column), x, strict=True):
            total = total + weight * row
        units.append(total)
    return units


# Normalization: each feature is scaled to RMS 1 by scaling its weights.


def mean_squares(features):
    """Mean square of each row of [f, n]. [f, 1]"""
    # A product with a vector, because XLA on CPU vectorizes that and does not
    # vectorize a full reduction.
    size = features.shape[1]
    return (
        ops.matmul(features * features, ops.ones((size, 1), dtype="float32"))
        / size
    )


def rms_factors(means):
    """Factors that scale rows with these mean squares to RMS 1."""
    return ops.rsqrt(1e-5 + means)


def features_of_whole(features_of, entries):
    """`features_of` for a whole tensor.

    Args:
        features_of: As for `normalized.normalized_perceptron`.
        entries: Dict of [c, *shape].
    """
    return features_of({k: ops.unstack(v) for k, v in entries.items()})


def normalized_layer(weights, bias, features):
    """Linear layer on features that are first scaled to RMS 1.

    A feature that is constant along some dimensions has size 1 there. It is
    broadcast as late as possible, so that its share of the units stays small.

    Args:
        weights: [f, h], rows in the order of the features.
        bias: [h].
        features: List of [k, *shape] tensors with f rows in total. The first
            one has the full shape.

    Returns:
        [h, n], or a list of h tensors [n].
    """
    groups, start = {}, 0
    for feature in features:
        stop = start + feature.shape[0]
        group = groups.setdefault(tuple(feature.shape[1:]), ([], []))
        group[0].append(weights[start:stop])
        group[1].append(ops.reshape(feature, (stop - start, -1)))
        start = stop
    (full, (rows, columns)), *smaller = groups.items()
    columns = ops.concatenate(columns, axis=0)  # [f of the group, n]
    weights = ops.concatenate(rows, axis=0) * rms_factors(mean_squares(columns))
    if not smaller:
        return perceptron([(weights, bias)], columns)
    units = _product_layer(weights, bias, columns)
    units = ops.reshape(units, (-1, *full))
    for shape, group in smaller:
        units = units + normalized_product(shape, group)
    return ops.reshape(units, (units.shape[0], -1))


def normalized_product(shape, group):
    """The share of a layer's units that comes from features of one shape.

    Args:
        shape: Shape of the features.
        group: Lists of weights [k, h] and of features [k, n].

    Returns:
        [h, *shape].
    """
    rows, columns = (ops.concatenate(part, axis=0) for part in group)
    weights = ops.transpose(rows * rms_factors(mean_squares(columns)))
    return ops.reshape(ops.matmul(weights, columns), (-1, *shape))

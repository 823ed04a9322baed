"""Pieces the rules share: a small MLP on columns, embeddings, normalisers.

Networks here are feature-first: activations are [units, n], so that the n
entries of a tensor are contiguous. A layer is one matrix product, or, where it
is narrow and compiled, one sum a unit: XLA makes one loop of it all. An entry
of 2,000 on 11-8-8-2 units took 5 ns of one core so, and 11 in matrix products.
"""

import math

import numpy as np
from keras import ops

#: Widest layer that is compiled as one sum a unit. With 16 units `fused` took
#: 19 ns an entry so and 27 in products; with 32, 68 and 47.
UNROLLED_UNITS = 16
UNROLLED_ENTRIES = 256  # Fewest of which it is: it takes long to compile.
TIME_SCALES = (1.0, 3.0, 10.0, 30.0, 1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5)


def time_embed_tanh(step):
    """tanh(step / s - 1) for the 11 time scales s. [11]"""
    scales = ops.convert_to_tensor(TIME_SCALES, dtype="float32")
    return ops.tanh(ops.cast(step, "float32") / scales - 1.0)


def mean_squares(features):
    """Mean square of each row of [f, n]. [f, 1]"""
    # A product with a vector: XLA on CPU vectorises it, but no full reduce.
    size = features.shape[1]
    return ops.matmul(features * features, ops.ones((size, 1))) / size


def rms_factors(means):
    """What brings rows with these mean squares to RMS 1; 0 for a row of 0."""
    return ops.rsqrt(1e-5 + means)


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


def perceptron(layers, inputs, added=()):
    """MLP with ReLU between its layers.

    Args:
        layers: List of weights [fan_in, fan_out] and biases [fan_out].
        inputs: [fan_in, n], or a list of as many tensors of n entries.
        added: What is added to the units of the first layer, besides: lists
            of a tensor a unit that broadcasts to the inputs'.

    Returns:
        [fan_out, n], or a list of as many tensors shaped as the inputs'.
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
    """Of a tensor, or of each in a list."""
    is_list = isinstance(units, list)
    return [ops.relu(unit) for unit in units] if is_list else ops.relu(units)


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
    """List of a tensor a unit."""
    x = x if isinstance(x, list) else ops.unstack(x)
    units = []
    columns = ops.unstack(weights, axis=1)
    for column, *totals in zip(columns, ops.unstack(bias), *added, strict=True):
        total = sum(totals[1:], totals[0])
        for weight, row in zip(ops.unstack(column), x, strict=True):
            total = total + weight * row
        units.append(total)
    return units


def is_compiled(x):
    """Whether `x` is traced; every operation on it is a call if it is not."""
    return not isinstance(x, np.ndarray) and not hasattr(x, "numpy")


def layers_from(theta, first):
    """Weights and biases of the layers from number `first` on."""
    if f"w{first}" not in theta:
        return []
    layer = theta[f"w{first}"], theta[f"b{first}"]
    return [layer, *layers_from(theta, first + 1)]


def time_embed_sin(step):
    """sin(step / (s * pi)) for the 11 time scales s. [11]"""
    scales = np.pi * np.asarray(TIME_SCALES)
    scales = ops.convert_to_tensor(scales.astype(np.float32))
    return ops.sin(ops.cast(step, "float32") / scales)


def normalized_layer(weights, bias, features):
    """Linear layer on features that are first brought to RMS 1.

    A feature that is constant over some dimensions has size 1 there and is
    not broadcast: what it adds to a unit is, as long as it can be, as small.

    Args:
        weights: [f, h], rows in the order of the features.
        bias: [h].
        features: List of [k, *shape] tensors, f rows together. The first
            broadcasts none of its dimensions.

    Returns:
        [h, n], or a list of as many [n].
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
    """What features of one shape add to the units of a layer.

    Args:
        shape: Of the features.
        group: Lists of weights [k, h] and of features [k, n].

    Returns:
        [h, *shape].
    """
    rows, columns = (ops.concatenate(part, axis=0) for part in group)
    weights = ops.transpose(rows * rms_factors(mean_squares(columns)))
    return ops.reshape(ops.matmul(weights, columns), (-1, *shape))


def normalized_perceptron(theta, features, shared):
    """MLP on an entry's normalised features and some of all entries.

    Args:
        theta: Dict with w0, b0, w1, b1, ...
        features: As for `normalized_layer`; the first rows of w0.
        shared: [s], the same for all entries, as they are; its last rows.

    Returns:
        As `perceptron`, the tensor's entries in row-major order.
    """
    weights, bias = first_layer(theta, shared)
    hidden = normalized_layer(weights, bias, features)
    return perceptron(layers_from(theta, 1), relu(hidden))


def first_layer(theta, shared):
    """Weights of the features; bias, with what all entries share in it."""
    count = theta["w0"].shape[0] - shared.shape[0]
    bias = theta["b0"] + ops.matmul(shared, theta["w0"][count:])  # [h]
    return theta["w0"][:count], bias


def step_of(outputs, exp_mult):
    """Direction times magnitude, outputs 0 and 1 of an MLP. [n]"""
    return outputs[0] * ops.exp(outputs[1] * exp_mult)

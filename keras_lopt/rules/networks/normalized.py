"""The MLP of the per-parameter rules, on normalized features.

It has three forms, which agree up to floating-point rounding: a tensor as a
whole, a large tensor in blocks, and many small vectors in segments.
"""

from keras import ops

from keras_lopt.rules.networks import blocks, layers, segments


def normalized_perceptron(
    theta, features_of, entries, shared, readout, places=None
):
    """MLP on the normalized features of every entry, in the cheapest form.

    Args:
        theta: Dict with w0, b0, w1, b1, ...
        features_of: Function from `entries`, as lists of tensors, to the
            features: a list of such lists, in the order of the first rows of
            w0. The first feature has the full shape.
        entries: Dict of [c, *shape], with size 1 for dimensions along which
            they are constant; `grad` has the full shape. With `places`,
            dict of [c, rows * width].
        shared: [s], inputs that are the same for all entries. They are not
            normalized, and belong to the last rows of w0.
        readout: Function from the MLP's outputs to the result of each entry.
        places: `segments.Segments`: where several vectors lie in the entries.
            Each of them is normalized by itself. None for one tensor.

    Returns:
        The results of all entries, in row-major order.
    """
    inputs = theta, features_of, entries, shared, readout
    if places is not None:
        return segments.perceptron_in_segments(places, *inputs)
    layout = blocks.layout_of(entries)
    if layout is not None:
        return blocks.perceptron_in_blocks(layout, *inputs)
    groups = layers.features_of_whole(features_of, entries)
    features = [ops.stack(group) for group in groups]
    return readout(whole_perceptron(theta, features, shared))


def whole_perceptron(theta, features, shared):
    """MLP on the normalized features of a whole tensor.

    Args:
        theta: Dict with w0, b0, w1, b1, ...
        features: List of [k, *shape], as for `layers.normalized_layer`.
        shared: As for `normalized_perceptron`.

    Returns:
        As `layers.perceptron`, the entries in row-major order.
    """
    weights, bias = layers.first_layer(theta, shared)
    hidden = layers.normalized_layer(weights, bias, features)
    later = layers.layers_from(theta, 1)
    return layers.perceptron(later, layers.relu(hidden))

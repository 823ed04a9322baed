"""The MLP on a large tensor, without its features in memory.

The features and activations of an MLP take many times the memory of the
tensor. They are therefore computed twice: block by block for the norms, where
the features of a block fit into a cache, and once more in one loop with the
MLP. The tensor then needs no more memory than its step.

XLA on CPU makes one vectorized loop of a block's features only if it reads
each tensor at one place. A tensor with an axis of decays is therefore cut
decay by decay, never cut as a whole and then unstacked (11 instead of 37 ns
per entry).
"""

import math
from typing import NamedTuple

from keras import ops

from keras_lopt.rules.networks import layers

#: Fewest and most entries of a block.
SMALLEST, LARGEST = 256, 2**14
#: A row longer than `LARGEST` is a block of its own, up to this length.
LONGEST_ROW = 2**16
#: Longest row that a vector is divided into, if one divides it. The sums of
#: squares take one row per feature, which has to stay in a cache too.
LONGEST_PART = 1024
#: Fewest entries of a tensor that is cut. With features that are constant along
#: an axis it pays earlier: 64 x 32 took 29 us instead of 44 (`adafac_mlp`).
FEWEST, FEWEST_FACTORED = 2**15, 2**11


class Layout(NamedTuple):
    """A tensor as [lead * rows, *rest]; each block has `block` rows."""

    lead: int
    rows: int
    rest: tuple
    block: int
    is_flat: bool = False  # Rows are parts of a vector, not of the shape.

    @property
    def count(self):
        """Number of blocks."""
        return self.lead * self.rows // self.block

    def cut(self, x, index):
        """Block `index` of [c, *shape], as a list of c tensors.

        Each is [block, *rest], with size 1 for dimensions along which `x` is
        constant.
        """
        rest = x.shape[len(x.shape) - len(self.rest) :]
        count, size = x.shape[0], math.prod(x.shape[1:]) // math.prod(rest)
        if size == 1:  # The same for all rows.
            parts = ops.reshape(x, (count, 1, *rest))
            return [parts[i] for i in range(count)]
        first, height = index * self.block, self.block
        if size == self.lead:  # The same for all rows of a leading index.
            first, height = first // self.rows, 1
        parts = ops.reshape(x, (count, size, *rest))
        start = (first, *[0] * len(rest))
        return [
            ops.reshape(
                ops.slice(parts, (i, *start), (1, height, *rest)),
                (height, *rest),
            )
            for i in range(count)
        ]


def layout_of(entries):
    """The `Layout` for a tensor's entries; None if it is not to be cut."""
    if not layers.is_compiled(entries["grad"]):
        return None
    shape = entries["grad"].shape[1:]
    return layout(shape, _constant_axes(shape, entries.values()))


def layout(shape, constant):
    """How a tensor is cut.

    Args:
        shape: Shape of the tensor.
        constant: Axes along which one of its entries is constant.

    Returns:
        `Layout`, or None for a tensor that is not cut: it is small, or its
        size has no suitable divisor.
    """
    size = math.prod(shape)
    if size < (FEWEST_FACTORED if constant else FEWEST):
        return None
    if not constant:
        return _flat_layout(size)
    axis = min(constant)
    lead, rows, rest = math.prod(shape[:axis]), shape[axis], shape[axis + 1 :]
    row = math.prod(rest)
    if row > LONGEST_ROW:
        return None
    block = _divisor(rows, LARGEST // row, 1) if row < LARGEST else 1
    return Layout(lead, rows, rest, block) if block * row >= SMALLEST else None


def _flat_layout(size):
    """Layout of a tensor that is cut as a vector."""
    for longest in (LONGEST_PART, LARGEST):
        row = _divisor(size, longest)
        if row is not None:
            block = _divisor(size // row, LARGEST // row, 1)
            if block * row >= LONGEST_PART:
                return Layout(1, size // row, (row,), block, True)
    return None


def _divisor(number, most, least=SMALLEST):
    """The largest divisor of `number` in [least, most]; None without one."""
    for divisor in range(min(number, most), least - 1, -1):
        if number % divisor == 0:
            return divisor
    return None


def perceptron_in_blocks(cut, theta, features_of, entries, shared, readout):
    """`normalized.normalized_perceptron` of a large tensor.

    Args:
        cut: The `Layout` of the tensor.
        theta, features_of, entries, shared, readout: As there.

    Returns:
        The results of all entries, in row-major order.
    """
    shape = entries["grad"].shape[1:]
    if cut.is_flat:
        shape = (cut.rows, *cut.rest)
        entries = {
            k: ops.reshape(v, (v.shape[0], *shape)) for k, v in entries.items()
        }
    features = _in_one_list(layers.features_of_whole(features_of, entries))
    shapes = [tuple(feature.shape) for feature in features]
    full = [i for i, s in enumerate(shapes) if s == tuple(shape)]

    def columns_of(index):
        """The features of one block that have the full shape."""
        block = {k: cut.cut(v, index) for k, v in entries.items()}
        columns = _in_one_list(features_of(block))
        return [columns[i] for i in full]

    weights, bias = layers.first_layer(theta, shared)
    smaller = _smaller(weights, features, tuple(shape))
    means = _mean_squares(cut, columns_of, len(full)) / math.prod(shape)
    weights = ops.stack([weights[i] for i in full])
    all_layers = [
        (weights * layers.rms_factors(means), bias),
        *layers.layers_from(theta, 1),
    ]

    # The MLP does not run block by block: XLA makes one loop of it and divides
    # that among all cores. XLA would share the features with the norms, and so
    # keep them in memory, but it does not look into the loop of the norms.
    columns = [features[i] for i in full]
    smaller = [ops.unstack(part) for part in smaller]
    outputs = layers.perceptron(all_layers, columns, smaller)
    return ops.reshape(readout(outputs), (-1,))


def _in_one_list(groups):
    return [feature for group in groups for feature in group]


def _constant_axes(shape, entries):
    return {
        axis
        for entry in entries
        for axis, size in enumerate(shape)
        if entry.shape[axis + 1] != size
    }


def _smaller(weights, features, shape):
    """Shares of the units from features of smaller shapes: list of tensors."""
    groups = {}
    for number, feature in enumerate(features):
        if tuple(feature.shape) != shape:
            rows, columns = groups.setdefault(tuple(feature.shape), ([], []))
            rows.append(weights[number : number + 1])
            columns.append(ops.reshape(feature, (1, -1)))
    return [layers.normalized_product(*group) for group in groups.items()]


def _mean_squares(cut, columns_of, count):
    """Sums of squares of `count` features over all blocks. [count, 1]"""

    def add(index, totals):
        return [
            total + ops.sum(column * column, axis=0)
            for total, column in zip(totals, columns_of(index), strict=True)
        ]

    # Column by column, because XLA on CPU vectorizes that and does not
    # vectorize a full reduction.
    totals = [ops.zeros(cut.rest, dtype="float32")] * count
    totals = ops.fori_loop(0, cut.count, add, totals)
    return ops.stack([ops.sum(total) for total in totals])[:, None]

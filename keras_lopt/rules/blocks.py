"""A large tensor's MLP, without its features in memory.

What an MLP is given and its activations are many times a tensor. They are
computed twice instead: block by block for the norms, where a block's features
fit into a cache, and once more in one loop with the MLP. The tensor needs no
more memory than its step.

XLA on CPU makes one vectorised loop of a block's features only if each tensor
in it is read at one place: what has an axis of decays is cut decay by decay,
never cut whole and then unstacked (11 against 37 ns an entry).
"""

import math
from typing import NamedTuple

from keras import ops

from keras_lopt.rules import networks

#: Entries of a block. A row longer than the second is a block of its own.
SMALLEST, LARGEST, LONGEST_ROW = 256, 2**14, 2**16
#: Longest part of a vector that is a row, where one divides it. Sums of squares
#: are a row a feature, which has to stay in a cache beside the block.
LONGEST_PART = 1024
#: Entries of a tensor that is cut; with features that are constant over an
#: axis, as one of 64 x 32 gains by it: 29 us instead of 44 (`adafac_mlp`).
FEWEST, FEWEST_FACTORED = 2**15, 2**11


class Layout(NamedTuple):
    """A tensor as [lead * rows, *rest], of which a block is `block` rows."""

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
        """Block `index` of [c, *shape]: a list of c tensors.

        A block is [block, *rest], with 1 for a dimension that `x` is constant
        over.
        """
        rest = x.shape[len(x.shape) - len(self.rest) :]
        count, size = x.shape[0], math.prod(x.shape[1:]) // math.prod(rest)
        if size == 1:  # The same for all rows.
            parts = ops.reshape(x, (count, 1, *rest))
            return [parts[i] for i in range(count)]
        first, height = index * self.block, self.block
        if size == self.lead:  # The same for the rows of a leading index.
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


def layout(shape, constant):
    """How a tensor is cut.

    Args:
        shape: Of the tensor.
        constant: Axes that something it is seen with is constant over.

    Returns:
        `Layout`, or None for a tensor that is not cut: a small one, or one
        that no good number of entries divides.
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
    """Of a tensor that is cut as a vector."""
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


def normalized_perceptron(theta, features_of, entries, shared, step_of):
    """`networks.normalized_perceptron` of a tensor, and what it gives.

    Args:
        theta: Dict with w0, b0, w1, b1, ...
        features_of: Function from entries as lists of tensors to the features,
            a list of such lists; the first rows of w0. The first is constant
            over no dimension.
        entries: Dict of [c, *shape], with 1 for a dimension that they are
            constant over; `grad` is over none.
        shared: [s], the same for all entries, as they are; its last rows.
        step_of: Function from the MLP's outputs to the steps of the entries.

    Returns:
        The steps, in row-major order.
    """
    shape, cut = entries["grad"].shape[1:], None
    if networks.is_compiled(entries["grad"]):
        cut = layout(shape, _constant_axes(shape, entries.values()))
    if cut is None:
        features = whole(features_of, entries)
        features = [ops.stack(group) for group in features]
        outputs = networks.normalized_perceptron(theta, features, shared)
        return step_of(outputs)
    if cut.is_flat:
        shape = (cut.rows, *cut.rest)
        entries = {
            k: ops.reshape(v, (v.shape[0], *shape)) for k, v in entries.items()
        }
    features = _in_one_list(whole(features_of, entries))
    shapes = [tuple(feature.shape) for feature in features]
    full = [i for i, s in enumerate(shapes) if s == tuple(shape)]

    def columns_of(index):
        """The features that are constant over no dimension, of a block."""
        block = {k: cut.cut(v, index) for k, v in entries.items()}
        columns = _in_one_list(features_of(block))
        return [columns[i] for i in full]

    weights, bias = networks.first_layer(theta, shared)
    smaller = _smaller(weights, features, tuple(shape))
    means = _mean_squares(cut, columns_of, len(full)) / math.prod(shape)
    weights = ops.stack([weights[i] for i in full])
    layers = [
        (weights * networks.rms_factors(means), bias),
        *networks.layers_from(theta, 1),
    ]

    # Not block by block: XLA makes one loop of it and deals that out to all
    # cores. It would share the features with the norms, and so keep them in
    # memory, if it looked into the loop that those are in.
    columns = [features[i] for i in full]
    smaller = [ops.unstack(part) for part in smaller]
    outputs = networks.perceptron(layers, columns, smaller)
    return ops.reshape(step_of(outputs), (-1,))


def whole(features_of, entries):
    """The features of all of a tensor; arguments as above."""
    return features_of({k: ops.unstack(v) for k, v in entries.items()})


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
    """What features constant over dimensions add to the units: [h, *shape]s."""
    groups = {}
    for number, feature in enumerate(features):
        if tuple(feature.shape) != shape:
            rows, columns = groups.setdefault(tuple(feature.shape), ([], []))
            rows.append(weights[number : number + 1])
            columns.append(ops.reshape(feature, (1, -1)))
    return [networks.normalized_product(*group) for group in groups.items()]


def _mean_squares(cut, columns_of, count):
    """Sums of the squares of `count` features, over all blocks. [count, 1]"""

    def add(index, totals):
        return [
            total + ops.sum(column * column, axis=0)
            for total, column in zip(totals, columns_of(index), strict=True)
        ]

    # Column by column: XLA on CPU vectorises it, but no full reduce.
    totals = [ops.zeros(cut.rest)] * count
    totals = ops.fori_loop(0, cut.count, add, totals)
    return ops.stack([ops.sum(total) for total in totals])[:, None]

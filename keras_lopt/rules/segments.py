"""Small tensors side by side: an MLP runs over all of them at once.

Each is a vector that fills whole rows, with zeros after it. What there is one
of a tensor, as the size of a feature, is one of a row, and broadcasts.
"""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_lopt.rules import networks

ROW_COST = 16  # Entries that take as long as what there is of a row.


class Segments(NamedTuple):
    """Where vectors lie in one vector."""

    sizes: tuple  # Entries of each.
    width: int  # Entries of a row.

    @property
    def heights(self):
        """Rows of each vector."""
        return np.asarray([-(-size // self.width) for size in self.sizes])

    def join(self, vectors):
        """[k, n]s side by side: [k, rows * width]."""
        parts = []
        for vector, height in zip(vectors, self.heights, strict=True):
            count, size = vector.shape
            parts.append(vector)
            if missing := int(height) * self.width - size:
                parts.append(ops.zeros((count, missing)))
        return ops.concatenate(parts, axis=1)

    def split(self, joined):
        """The vectors that lie in [rows * width]: a list of [n]."""
        starts = (np.cumsum(self.heights) - self.heights) * self.width
        return [
            joined[start : start + size]
            for start, size in zip(starts.tolist(), self.sizes)
        ]

    def mean_squares(self, columns):
        """Of the vector that each row is of.

        Args:
            columns: [f, rows, width].

        Returns:
            [f, rows, 1].
        """
        squares = columns * columns
        rows, width = squares.shape[1:]
        if sum(self.sizes) < rows * width:
            squares = squares * self._is_entry()
        # As in `networks.mean_squares`.
        squares = ops.reshape(squares, (-1, width))
        sums = ops.matmul(squares, ops.ones((width, 1)))
        sums = ops.reshape(sums, (-1, rows))
        owners = np.repeat(np.arange(len(self.sizes)), self.heights)
        if len(self.sizes) < rows:
            # Not a product with zeros and ones: a NaN stays in its vector.
            sums = ops.pad(sums, ((0, 0), (0, 1)))
            sums = ops.sum(ops.take(sums, self._row_numbers(), axis=1), axis=2)
            sums = ops.take(sums, owners, axis=1)
        sizes = ops.convert_to_tensor(np.float32(self.sizes)[owners])
        return (sums / sizes)[:, :, None]

    def _is_entry(self):
        """1.0 for an entry of a vector, 0.0 after it. [rows, width]"""
        mask = np.zeros(self.heights.sum() * self.width, np.float32)
        for vector in self.split(mask):
            vector[:] = 1.0
        return ops.convert_to_tensor(mask.reshape(-1, self.width))

    def _row_numbers(self):
        """Each vector's rows; the number of rows where it has no more."""
        heights = self.heights[:, None]
        place = np.arange(heights.max())
        first = np.cumsum(heights)[:, None] - heights
        return np.where(place < heights, first + place, heights.sum())


def best(sizes):
    """Where vectors of these sizes are best put: rows as wide as one of them.

    A row costs time, and zeros do.
    """

    def cost(width):
        rows = sum(-(-size // width) for size in sizes)
        return rows * (width + ROW_COST)

    return Segments(tuple(sizes), min(sorted(set(sizes)), key=cost))


def normalized_perceptron(
    segments, theta, features_of, entries, shared, step_of
):
    """`blocks.normalized_perceptron` of vectors, each with its own normaliser.

    Args:
        segments: `Segments`, where the vectors lie.
        theta, features_of, shared, step_of: As there.
        entries: Dict of [c, rows * width].

    Returns:
        The steps, [rows * width].
    """
    rows = {
        k: [ops.reshape(row, (-1, segments.width)) for row in ops.unstack(v)]
        for k, v in entries.items()
    }
    columns = [column for group in features_of(rows) for column in group]
    means = segments.mean_squares(ops.stack(columns))
    factors = ops.unstack(networks.rms_factors(means))
    columns = [c * factor for c, factor in zip(columns, factors, strict=True)]
    layers = [
        networks.first_layer(theta, shared),
        *networks.layers_from(theta, 1),
    ]
    steps = step_of(networks.perceptron(layers, columns))
    return _computed_once(ops.reshape(steps, (-1,)))


def _computed_once(x):
    """`x`, which XLA would compute anew for each vector that is cut out of it.

    It would compile the MLP as often. A loop is what it does not look into.
    """
    if not networks.is_compiled(x):
        return x
    return ops.fori_loop(0, 2, lambda _, y: -y, x)

"""Small vectors side by side, so that an MLP runs over all of them at once.

Each vector fills whole rows and is padded with zeros. What exists once per
vector, such as the norm of a feature, is kept once per row and broadcasts.
"""

from typing import NamedTuple

from keras import ops

from keras_lopt.rules.networks import layers

#: What a row costs beside its entries, in entries.
ROW_COST = 16


class Segments(NamedTuple):
    """Where several vectors lie in one joined vector."""

    sizes: tuple  # Entries per vector.
    width: int  # Entries per row.

    # Python numbers, and no NumPy: PyTorch's compiler traces what NumPy does,
    # and cannot take a shape from it.

    @property
    def heights(self):
        """Rows per vector."""
        return [-(-size // self.width) for size in self.sizes]

    @property
    def starts(self):
        """Numbers of the first rows of the vectors."""
        heights = self.heights
        return [sum(heights[:i]) for i in range(len(heights))]

    def join(self, vectors):
        """Joins vectors, a list of [k, n], to [k, rows * width]."""
        parts = []
        for vector, height in zip(vectors, self.heights, strict=True):
            count, size = vector.shape
            parts.append(vector)
            if missing := height * self.width - size:
                parts.append(ops.zeros((count, missing), dtype="float32"))
        return ops.concatenate(parts, axis=1)

    def split(self, joined):
        """The vectors in [rows * width], as a list of [n]."""
        return [
            joined[start * self.width : start * self.width + size]
            for start, size in zip(self.starts, self.sizes)
        ]

    def mean_squares(self, columns):
        """For each row, the mean squares of the vector that it belongs to.

        Args:
            columns: [f, rows, width].

        Returns:
            [f, rows, 1].
        """
        squares = columns * columns
        rows, width = squares.shape[1:]
        if sum(self.sizes) < rows * width:
            squares = squares * self._is_entry()
        # As in `layers.mean_squares`.
        squares = ops.reshape(squares, (-1, width))
        sums = ops.matmul(squares, ops.ones((width, 1), dtype="float32"))
        sums = ops.reshape(sums, (-1, rows))
        owners = [
            owner
            for owner, height in enumerate(self.heights)
            for _ in range(height)
        ]
        if len(self.sizes) < rows:
            # Not a product with zeros and ones, which would spread a NaN.
            sums = ops.pad(sums, ((0, 0), (0, 1)))
            numbers = ops.convert_to_tensor(self._row_numbers(), dtype="int32")
            sums = ops.sum(ops.take(sums, numbers, axis=1), axis=2)
            owner = ops.convert_to_tensor(owners, dtype="int32")
            sums = ops.take(sums, owner, axis=1)
        sizes = ops.convert_to_tensor(
            [float(self.sizes[owner]) for owner in owners], dtype="float32"
        )
        return (sums / sizes)[:, :, None]

    def _is_entry(self):
        """1.0 for entries of vectors, 0.0 for padding. [rows, width]"""
        mask = []
        for size, height in zip(self.sizes, self.heights, strict=True):
            mask += [1.0] * size + [0.0] * (height * self.width - size)
        mask = ops.convert_to_tensor(mask, dtype="float32")
        return ops.reshape(mask, (-1, self.width))

    def _row_numbers(self):
        """Row numbers of each vector, padded with the total number of rows."""
        heights = self.heights
        most, total = max(heights), sum(heights)
        return [
            [*range(start, start + height), *[total] * (most - height)]
            for start, height in zip(self.starts, heights, strict=True)
        ]


def best(sizes):
    """The cheapest `Segments`: rows are as wide as one of the vectors.

    Both rows and padding cost time.
    """

    def cost(width):
        rows = sum(-(-size // width) for size in sizes)
        return rows * (width + ROW_COST)

    return Segments(tuple(sizes), min(sorted(set(sizes)), key=cost))


def perceptron_in_segments(
    places, theta, features_of, entries, shared, readout
):
    """`normalized.normalized_perceptron` of several vectors.

    Args:
        places: `Segments`: where the vectors lie.
        theta, features_of, shared, readout: As there.
        entries: Dict of [c, rows * width].

    Returns:
        The results, [rows * width].
    """
    rows = {
        k: [ops.reshape(row, (-1, places.width)) for row in ops.unstack(v)]
        for k, v in entries.items()
    }
    columns = [column for group in features_of(rows) for column in group]
    means = places.mean_squares(ops.stack(columns))
    factors = ops.unstack(layers.rms_factors(means))
    columns = [c * factor for c, factor in zip(columns, factors, strict=True)]
    all_layers = [
        layers.first_layer(theta, shared),
        *layers.layers_from(theta, 1),
    ]
    results = readout(layers.perceptron(all_layers, columns))
    return _computed_once(ops.reshape(results, (-1,)))


def _computed_once(x):
    """`x`, from a loop that XLA does not look into.

    XLA would otherwise compile and run the MLP once per vector cut out of `x`.
    """
    if not layers.is_compiled(x):
        return x
    return ops.fori_loop(0, 2, lambda _, y: -y, x)

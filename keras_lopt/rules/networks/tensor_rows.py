"""Tensors side by side in rows: what an MLP that runs over all of them sees.

A tensor is a vector of its entries that fills whole rows, with zeros after it.
What there is one of a tensor is one of a row, and broadcasts. A rule that
remembers entries in this form need not bring them there at every step.
"""

import functools
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_lopt.rules.networks import layers

#: Entries that take as long as what there is of a row.
ROW_COST = 16
#: Widest row, and entries of a block: what is computed of it stays in a cache.
WIDEST, BLOCK = 1024, 2**14
#: Narrowest row of a tensor by itself, where its size has such a divisor.
NARROWEST = 256
#: Entries of which sums are taken block by block.
FEWEST = 2**15
#: So many of the largest tensors, if they have as many entries as that, are
#: not copied to be with others; the number bounds what there is to compile.
MOST_ALONE = 4


class Rows(NamedTuple):
    """Where vectors lie in [height, width].

    Args:
        sizes: Entries of each vector.
        width: Entries of a row.
        height: Number of rows, some of them empty.
        block: Rows of a block, which divide the height.
    """

    sizes: tuple
    width: int
    height: int
    block: int

    @property
    def _heights(self):
        return np.asarray([-(-size // self.width) for size in self.sizes])

    @property
    def _starts(self):
        """Of each vector in the flattened rows; a list."""
        heights = self._heights
        return ((np.cumsum(heights) - heights) * self.width).tolist()

    @property
    def is_full(self):
        """Whether all of it is entries."""
        return sum(self.sizes) == self.width * self.height

    def join(self, vectors):
        """[n]s -> [height, width]."""
        parts, missing = [], self.height - int(self._heights.sum())
        for vector, size in zip(vectors, self.sizes, strict=True):
            parts.append(vector)
            if rest := -size % self.width:
                parts.append(_zeros(rest))
        if missing:
            parts.append(_zeros(missing * self.width))
        joined = parts[0] if len(parts) == 1 else ops.concatenate(parts)
        return ops.reshape(joined, (self.height, self.width))

    def split(self, joined):
        """[height, width] -> list of [n]."""
        joined = ops.reshape(joined, (-1,))
        if len(self.sizes) == 1 and self.is_full:
            return [joined]
        return [
            joined[start : start + size]
            for start, size in zip(self._starts, self.sizes)
        ]

    def mask(self):
        """1.0 for an entry of a vector, 0.0 elsewhere. [height, width]"""
        mask = np.zeros((self.height * self.width,), np.float32)
        for start, size in zip(self._starts, self.sizes):
            mask[start : start + size] = 1.0
        return ops.convert_to_tensor(
            mask.reshape(self.height, self.width), dtype="float32"
        )

    def spread(self, values):
        """What each row has of its tensor.

        Args:
            values: [k, t].

        Returns:
            [k, height, 1]; [k, 1, 1] if there is one tensor.
        """
        if len(self.sizes) > 1:
            values = ops.take(values, self._owners(), axis=1)
        return values[:, :, None]

    def _owners(self):
        """Number of the vector of each row; that of the last if it is empty."""
        heights = self._heights
        heights[-1] += self.height - heights.sum()
        return np.repeat(np.arange(len(heights)), heights)

    def sums(self, products_of, entries):
        """Sums of products over each tensor.

        Large ones are taken block by block, so that the products are never
        in memory as a whole.

        Args:
            products_of: Function from entries, as lists of tensors, to a list
                of as many products of one shape, which are 0 after the end of
                a tensor.
            entries: Dict of [c, height, width], or with 1 for a dimension that
                they are constant over.

        Returns:
            [number of products, t].
        """
        whole = {k: ops.unstack(v) for k, v in entries.items()}
        is_traced = any(map(layers.is_compiled, entries.values()))
        if not is_traced or self.height * self.width < FEWEST:
            return self._totals(products_of(whole), self._ownership())
        number = len(products_of(whole))  # Not computed.

        def products(index):
            return products_of(
                {k: self._cut(v, index) for k, v in entries.items()}
            )

        def add_columns(index, totals):
            return [
                total + ops.sum(product, axis=0)
                for total, product in zip(totals, products(index), strict=True)
            ]

        ownership = self._ownership()

        def add(index, totals):
            shape = (self.block, len(self.sizes))
            owned = ops.slice(ownership, (index * self.block, 0), shape)
            return totals + self._totals(products(index), owned)

        count = self.height // self.block
        if len(self.sizes) > 1:
            return ops.fori_loop(0, count, add, _zeros(number, len(self.sizes)))
        totals = [_zeros(self.width) for _ in range(number)]
        totals = ops.fori_loop(0, count, add_columns, totals)
        return ops.sum(ops.stack(totals), axis=1)[:, None]

    def _cut(self, x, index):
        """Block `index` of [c, height, width]: a list of c tensors."""
        count, height, width = x.shape
        if height == 1:
            return ops.unstack(x)
        # One at a time: XLA on CPU makes slow loops of what is cut out
        # together (`blocks`).
        shape = (1, self.block, width)
        starts = [(i, index * self.block, 0) for i in range(count)]
        return [ops.slice(x, start, shape)[0] for start in starts]

    def _totals(self, products, ownership):
        # Products with ones: XLA on CPU vectorises those, but no full reduce.
        products = ops.reshape(ops.stack(products), (-1, self.width))
        totals = ops.matmul(products, _ones(self.width, 1))
        totals = ops.reshape(totals, (-1, ownership.shape[0]))
        return ops.matmul(totals, ownership)

    def _ownership(self):
        """1.0 where a row is of a vector. [height, t]"""
        owners = self._owners()[:, None] == np.arange(len(self.sizes))
        return ops.convert_to_tensor(owners.astype(np.float32), dtype="float32")


@functools.lru_cache(maxsize=64)
def plan(sizes):
    """Which vectors lie in the same rows, and how.

    The largest ones by themselves, as they are; all others together.

    Args:
        sizes: Tuple, entries of each vector.

    Returns:
        List of indices of vectors, and of their `Rows`.
    """
    by_size = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    alone = [i for i in by_size[:MOST_ALONE] if sizes[i] >= FEWEST]
    others = [i for i in range(len(sizes)) if i not in alone]
    groups = [[i] for i in sorted(alone)] + ([others] if others else [])
    return [
        (tuple(group), best(tuple(sizes[i] for i in group))) for group in groups
    ]


def best(sizes):
    """Rows of a width at which few of their entries are zeros."""
    widths = np.arange(1, WIDEST + 1)
    if len(sizes) == 1 and sizes[0] >= FEWEST:
        full = widths[(sizes[0] % widths == 0) & (widths >= NARROWEST)]
        widths = full if len(full) else widths
    heights = sum(-(-size // widths) for size in sizes)  # [WIDEST]
    cost = heights * (-(-widths // 8) * 8 + ROW_COST)
    width = int(widths[np.argmin(cost)])
    height = max(1, int(heights[np.argmin(cost)]))
    if height * width < FEWEST:
        return Rows(tuple(sizes), width, height, height)
    most = max(1, BLOCK // width)
    for block in range(most, most // 4, -1):
        if height % block == 0:
            return Rows(tuple(sizes), width, height, block)
    height = -(-height // most) * most
    return Rows(tuple(sizes), width, height, most)


def _zeros(*shape):
    return ops.zeros(shape, dtype="float32")


def _ones(*shape):
    return ops.ones(shape, dtype="float32")

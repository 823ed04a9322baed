"""Theta as one vector, for perturbing and averaging it."""

import math

import numpy as np
from keras import ops


class ThetaVector:
    """Packs a rule's theta into one vector, and unpacks it.

    Args:
        rule: A `rules.Rule`.
    """

    def __init__(self, rule):
        self.shapes = rule.theta_shapes()
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.size = sum(sizes)
        self._bounds = np.cumsum(sizes)[:-1].tolist()

    def pack(self, theta):
        """Dict of arrays -> [size] float32 NumPy array."""
        leaves = [np.asarray(theta[leaf], np.float32) for leaf in self.shapes]
        return np.concatenate([leaf.reshape(-1) for leaf in leaves])

    def unpack(self, vector):
        """[size] tensor -> dict of tensors."""
        # TensorFlow raises if there is no place to split at.
        parts = ops.split(vector, self._bounds) if self._bounds else [vector]
        return self._named(parts, ops.reshape)

    def unpack_numpy(self, vector):
        """[size] array -> dict of float32 NumPy arrays."""
        parts = np.split(np.array(vector, np.float32), self._bounds)
        return self._named(parts, np.reshape)

    def _named(self, parts, reshape):
        return {
            leaf: reshape(part, shape)
            for (leaf, shape), part in zip(self.shapes.items(), parts)
        }

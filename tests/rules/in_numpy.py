"""The mathematics of `celo` and `celo2` in float64 NumPy, for comparison.

It follows the formulas of the papers, with features last as there. It uses
nothing of the package.
"""

import numpy as np

MOMENTUM_DECAYS = (0.9, 0.99, 0.999)
FACTORED_DECAYS = (0.9, 0.99, 0.999)


def rsqrt(x):
    return 1.0 / np.sqrt(x)


def safe_rsqrt(x):
    return rsqrt(np.maximum(x, 1e-9))


def largest_dims(shape):
    """The second largest and the largest dimension."""
    order = np.argsort(shape, kind="stable")
    return int(order[-2]), int(order[-1])


class TensorHistory:
    """Accumulators of one tensor; `take` returns the 14 groups of features."""

    def __init__(self, shape, second_moment_decay, epsilon):
        self.decay, self.epsilon = second_moment_decay, epsilon
        self.momenta = np.zeros((*shape, 3))
        self.second_moment = np.zeros((*shape, 1))
        self.rows = self.columns = self.full = None

    def take(self, g, p):
        self.momenta = np.stack(
            [
                d * self.momenta[..., i] + (1 - d) * g
                for i, d in enumerate(MOMENTUM_DECAYS)
            ],
            axis=-1,
        )
        self.second_moment = (
            self.decay * self.second_moment
            + (1 - self.decay) * np.square(g)[..., None]
        )
        scale = rsqrt(self.second_moment + self.epsilon)
        factored_g, others = self.take_factored(g)
        return [
            g[..., None],
            np.clip(g, -0.1, 0.1)[..., None],
            p[..., None],
            self.momenta,
            self.second_moment,
            self.momenta * scale,
            scale,
            factored_g,
            g[..., None] * scale,
            *others,
        ]

    def take_factored(self, g):
        square = np.square(g) + 1e-30
        if g.ndim < 2:
            self.full = self._averaged(self.full, square)
            v = self.full
            return g[..., None] * safe_rsqrt(v + 1e-9), [
                v,
                v,
                rsqrt(v + 1e-8),
                rsqrt(v + 1e-8),
                self.momenta * v**-0.5,
            ]
        d1, d0 = largest_dims(g.shape)
        self.rows = self._averaged(self.rows, square.mean(axis=d0))
        self.columns = self._averaged(self.columns, square.mean(axis=d1))
        reduced = d1 - 1 if d1 > d0 else d1
        mean = self.rows.mean(axis=reduced, keepdims=True)
        factors = np.expand_dims(
            safe_rsqrt(self.rows / (mean + 1e-9)), d0
        ) * np.expand_dims(safe_rsqrt(self.columns), d1)
        ones = np.ones((*g.shape, 1))
        row = np.expand_dims(self.rows, d0) * ones
        column = np.expand_dims(self.columns, d1) * ones
        return g[..., None] * factors, [
            row,
            column,
            rsqrt(row + 1e-8),
            rsqrt(column + 1e-8),
            self.momenta * factors,
        ]

    @staticmethod
    def _averaged(old, new):
        old = np.zeros((*new.shape, 3)) if old is None else old
        return np.stack(
            [
                d * old[..., i] + (1 - d) * new
                for i, d in enumerate(FACTORED_DECAYS)
            ],
            axis=-1,
        )


def normalized(x, axes, epsilon):
    return x * rsqrt(epsilon + np.mean(np.square(x), axis=axes, keepdims=True))


def mlp(weights, groups):
    """Two hidden layers; the first has weights per group: w0__0, ..."""
    hidden = sum(x @ weights[f"w0__{i}"] for i, x in enumerate(groups))
    hidden = np.maximum(hidden + weights["b0"], 0.0)
    hidden = np.maximum(hidden @ weights["w1"] + weights["b1"], 0.0)
    return hidden @ weights["w2"] + weights["b2"]


def at_least_1d(x):
    return np.asarray(x, np.float64).reshape(np.shape(x) or (1,))

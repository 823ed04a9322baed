"""Functions of a vector that are known to be hard, with their minima.

The test functions are those of Surjanovic and Bingham's library; the others
are after the problems of Wichrowska et al. 2017 (arXiv 1703.04813), in our
own formulas where the paper has none.
"""

import math

from keras import ops


def ackley(x):
    """A plane of many shallow holes around one deep one."""
    radius = ops.sqrt(0.5 * ops.sum(ops.square(x)) + 1e-12)
    waves = ops.mean(ops.cos(2.0 * math.pi * x))
    return -20.0 * ops.exp(-0.2 * radius) - ops.exp(waves) + math.e + 20.0


def beale(x):
    """Flat, with sharp peaks at the corners."""
    a, b = x[0], x[1]
    return (
        ops.square(1.5 - a + a * b)
        + ops.square(2.25 - a + a * b**2)
        + ops.square(2.625 - a + a * b**3)
    )


def branin(x):
    """Three equal minima."""
    a, b = x[0], x[1]
    valley = b - 5.1 / (4.0 * math.pi**2) * a**2 + 5.0 / math.pi * a - 6.0
    height = 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * ops.cos(a)
    return ops.square(valley) + height + 10.0


def log_sum_exp(x):
    """Smooth maximum of six planes around the origin."""
    angles = [2.0 * math.pi * k / 6.0 for k in range(6)]
    planes = [math.cos(a) * x[0] + math.sin(a) * x[1] for a in angles]
    return ops.logsumexp(ops.stack(planes))


def matyas(x):
    """A narrow valley."""
    return 0.26 * ops.sum(ops.square(x)) - 0.48 * x[0] * x[1]


def michalewicz(x):
    """Ridges with steep valleys."""
    number = ops.arange(1, x.shape[0] + 1, dtype=x.dtype)
    steep = ops.sin(number * ops.square(x) / math.pi) ** 20
    return -ops.sum(ops.sin(x) * steep)


def rosenbrock(x):
    """A curved valley."""
    valley = x[1:] - ops.square(x[:-1])
    return ops.sum(100.0 * ops.square(valley) + ops.square(1.0 - x[:-1]))


def styblinski_tang(x):
    """Four wells of different depths."""
    return 0.5 * ops.sum(x**4 - 16.0 * x**2 + 5.0 * x)


def dependency_chain(x):
    """An entry matters only once the one before it is small."""
    held = 1.0 / (1.0 + 10.0 * ops.square(x[:-1]))
    return ops.square(x[0]) + ops.sum(ops.square(x[1:] - 1.0) * held)


def outward_snake(x):
    """A winding valley that goes down outwards."""
    valley = ops.sum(ops.square(x[1:] - ops.sin(x[:1])))
    return valley + ops.softplus(3.0 - 0.5 * x[0])


def min_max_well(x):
    """Large where the largest entry is large or the least one is small."""
    size = ops.abs(x)
    return ops.max(size) + 1.0 / (ops.min(size) + 1e-3)


#: Name -> function, fewest and most entries, least value of `size` entries.
FUNCTIONS = {
    "ackley": (ackley, 2, 2, lambda size: 0.0),
    "beale": (beale, 2, 2, lambda size: 0.0),
    "branin": (branin, 2, 2, lambda size: 0.3978873),
    "log_sum_exp": (log_sum_exp, 2, 2, lambda size: math.log(6.0)),
    "matyas": (matyas, 2, 2, lambda size: 0.0),
    "michalewicz": (michalewicz, 2, 2, lambda size: -1.8013034),
    "rosenbrock": (rosenbrock, 2, 100, lambda size: 0.0),
    "styblinski_tang": (
        styblinski_tang,
        *(2, 100),
        lambda size: -39.166166 * size,
    ),
    "dependency_chain": (dependency_chain, 2, 100, lambda size: 0.0),
    "outward_snake": (outward_snake, 2, 100, lambda size: 0.0),
    # Both terms of one number: a + 1 / (a + 1e-3), least at a = 1 - 1e-3.
    "min_max_well": (min_max_well, 2, 100, lambda size: 2.0 - 1e-3),
}

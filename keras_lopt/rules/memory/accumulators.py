"""Moving averages of gradients, one per decay: [k, *shape] for k decays.

They start at zero, and nothing corrects the bias of that start.
"""

import math

from keras import ops


def moving_averages(decays, old, new):
    """decay * old + (1 - decay) * new, for each decay.

    Args:
        decays: [k], or a sequence of k numbers.
        old: [k, *shape].
        new: [*shape], the same for every decay.

    Returns:
        [k, *shape].
    """
    decays = ops.convert_to_tensor(decays, "float32")
    decays = ops.reshape(decays, (-1,) + (1,) * len(new.shape))
    return decays * old + (1.0 - decays) * new


def learned_decays(start, offsets):
    """Decays with learned offsets.

    decay = 1 - exp(10 * (log(1 - start) / 10 + offset))

    Args:
        start: Sequence of k numbers in [0, 1): the decays at offset 0.
        offsets: [k].

    Returns:
        [k].
    """
    logs = [math.log(1.0 - decay) / 10.0 for decay in start]
    logs = ops.convert_to_tensor(logs, dtype="float32")
    return 1.0 - ops.exp(10.0 * (logs + offsets))


def inverse_root(x):
    """1 / sqrt(x)."""
    # Not `rsqrt`: XLA on CPU called a scalar one inside vectorized loops.
    return ops.sqrt(1.0 / x)

"""How a training goes, for `velo` and `celo`: its time and its loss.

arXiv 2211.09760.
"""

import numpy as np
from keras import ops

NUM_LOSS_DECAYS = 10
FRACTIONS = (0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)
NUM_FEATURES = len(FRACTIONS) + NUM_LOSS_DECAYS - 1


def fraction_features(step, horizon):
    """How much of the training is over. [9]"""
    fraction = ops.cast(step, "float32") / ops.cast(horizon, "float32")
    points = ops.convert_to_tensor(FRACTIONS, "float32")
    return ops.tanh(10.0 * (fraction - points))


# The loss buffer: running means of the loss over 10 spans of time.


def init_loss_buffer():
    return {
        "count": ops.zeros(()),
        "means": ops.zeros((NUM_LOSS_DECAYS,)),
        "running_min": 1e12 * ops.ones((NUM_LOSS_DECAYS,)),
    }


def update_loss_buffer(slots, loss, horizon):
    """The buffer after one more loss.

    Args:
        slots: As from `init_loss_buffer`.
        loss: Scalar.
        horizon: The longest span, in steps.
    """
    decays = _loss_decays(horizon)
    # What is divided by is kept above 0 while there is no loss yet.
    past = _unbiased(slots["means"], decays, slots["count"] + 1.0)
    is_first = slots["count"] < 1.0
    cap = ops.where(is_first, loss, ops.max(past))
    loss = ops.minimum(2.0 * ops.abs(cap), loss)
    means = decays * slots["means"] + (1.0 - decays) * loss
    now = _unbiased(means, decays, slots["count"] + 1.0)
    return {
        "count": slots["count"] + 1.0,
        "means": means,
        "running_min": ops.minimum(slots["running_min"], now),
    }


def loss_features(slots, horizon):
    """How the loss of each span compares with that of the next longer. [9]

    Args:
        slots: As from `update_loss_buffer`, of one loss or more.
        horizon: The longest span, in steps.
    """
    now = _unbiased(slots["means"], _loss_decays(horizon), slots["count"])
    shorter, longer = now[:-1], now[1:]
    lowest = slots["running_min"][:-1]
    ratio = (shorter - lowest) / ops.maximum(1e-8, longer - lowest)
    features = ops.clip(ratio - 1.0, -1.0, 1.0)
    return ops.where(slots["count"] <= 2.0, ops.zeros_like(features), features)


def _loss_decays(horizon):
    log_horizon = ops.log10(ops.cast(horizon, "float32"))
    points = np.linspace(0.0, 1.0, NUM_LOSS_DECAYS, dtype=np.float32)
    spans = ops.power(10.0, 1.0 + (log_horizon - 1.0) * points)
    return ops.exp(-1.0 / spans)


def _unbiased(means, decays, count):
    return means / (1.0 - ops.power(decays, count))

"""How far a training is and how its loss develops, as features.

The loss features and the fractions of the horizon are those of `velo` and
`celo` (arXiv 2211.09760); the other rules embed the step number.
"""

import math

from keras import ops

NUM_LOSS_DECAYS = 10
TIME_SCALES = (1.0, 3.0, 10.0, 30.0, 1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5)
FRACTIONS = (0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)
NUM_FEATURES = len(FRACTIONS) + NUM_LOSS_DECAYS - 1


def time_embed_tanh(step):
    """tanh(step / s - 1) for the 11 time scales s. [11]"""
    scales = ops.convert_to_tensor(TIME_SCALES, dtype="float32")
    return ops.tanh(ops.cast(step, "float32") / scales - 1.0)


def time_embed_sin(step):
    """sin(step / (s * pi)) for the 11 time scales s. [11]"""
    scales = [math.pi * scale for scale in TIME_SCALES]
    scales = ops.convert_to_tensor(scales, dtype="float32")
    return ops.sin(ops.cast(step, "float32") / scales)


def fraction_features(step, horizon):
    """The fraction of the training that is over, against 9 points. [9]"""
    fraction = ops.cast(step, "float32") / ops.cast(horizon, "float32")
    points = ops.convert_to_tensor(FRACTIONS, "float32")
    return ops.tanh(10.0 * (fraction - points))


# The loss buffer: running means of the loss over 10 time spans.


def init_loss_buffer():
    return {
        "count": ops.zeros((), dtype="float32"),
        "means": ops.zeros((NUM_LOSS_DECAYS,), dtype="float32"),
        "running_min": 1e12 * ops.ones((NUM_LOSS_DECAYS,), dtype="float32"),
    }


def update_loss_buffer(slots, loss, horizon):
    """The buffer after one more loss.

    Args:
        slots: As from `init_loss_buffer`.
        loss: Scalar.
        horizon: The longest span, in steps.
    """
    decays = _loss_decays(horizon)
    # count + 1 keeps the divisor above 0 before the first loss.
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
    """Compares the mean loss of each span with the next longer span. [9]

    Args:
        slots: As from `update_loss_buffer`, with one loss or more.
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
    points = [i / (NUM_LOSS_DECAYS - 1) for i in range(NUM_LOSS_DECAYS)]
    points = ops.convert_to_tensor(points, dtype="float32")
    spans = ops.power(10.0, 1.0 + (log_horizon - 1.0) * points)
    return ops.exp(-1.0 / spans)


def _unbiased(means, decays, count):
    return means / (1.0 - ops.power(decays, count))

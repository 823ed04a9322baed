"""Statistics of whole tensors and of losses, inputs of the recurrent rules."""

from keras import ops


def mean_square(x):
    return ops.mean(x * x)


def norm(x):
    return ops.sqrt(ops.sum(x * x))


def clip_log(x, scale=1.0):
    """log(|scale * x|), clipped to [-5, 5]."""
    return ops.clip(ops.log(1e-8 + ops.abs(scale * x)), -5.0, 5.0)


# Running mean and variance of a loss: a dict of scalars.


def init_loss_statistics():
    return {
        k: ops.zeros((), dtype="float32") for k in ("mean", "variance", "count")
    }


def update_loss_statistics(slots, loss, decay):
    """The statistics after one more loss."""
    mean = decay * slots["mean"] + (1.0 - decay) * loss
    square = ops.square(mean - loss)
    return {
        "mean": mean,
        "variance": decay * slots["variance"] + (1.0 - decay) * square,
        "count": slots["count"] + 1.0,
    }


def corrected(slots, key, decay):
    """`mean` or `variance`, corrected for its start at zero.

    It is 0 before the first loss. The count is at least 1 in the division,
    because a compiler may fold 1 - decay^0 + 1e-8 to 0.
    """
    count = ops.maximum(slots["count"], 1.0)
    return slots[key] / (1.0 - ops.power(decay, count) + 1e-8)


def loss_feature(slots, x, decay):
    """Standard deviations between `x` and the mean, in [-5, 5]."""
    mean = corrected(slots, "mean", decay)
    variance = corrected(slots, "variance", decay)
    return ops.clip((x - mean) * ops.rsqrt(variance + 1e-8), -5.0, 5.0)

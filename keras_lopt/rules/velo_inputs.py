"""What the LSTM of `velo` sees of the tensors (arXiv 2211.09760)."""

from keras import ops

from keras_lopt.rules import history
from keras_lopt.rules.progress import NUM_FEATURES
from keras_lopt.rules.statistics import clip_log, mean_square

NUM_RANKS = 5
NUM_INPUTS = NUM_FEATURES + 1 + NUM_RANKS + 2 * len(history.MOMENTUM_DECAYS)


def tensor_features(param, slots, rank):
    """Features of one tensor, from before its accumulators are updated.

    Args:
        param: [*shape].
        slots: As from `history.init_history`.
        rank: Number of dimensions larger than 1.

    Returns:
        Dict of [k], by the names whose alphabetical order is that of the
        LSTM's inputs.
    """
    scale = ops.rsqrt(ops.maximum(1e-9, mean_square(param)))
    momenta = slots["momenta"] * scale
    second_moments = slots["second_moments"] * scale  # [1, *shape]
    axes = tuple(range(1, len(momenta.shape)))
    mean = ops.mean(momenta, axis=axes, keepdims=True)  # [3, 1, ...]
    one_hot = [float(rank == i) for i in range(NUM_RANKS)]
    return {
        "mean_rms": _squashed(ops.mean(second_moments, axis=axes)),
        "rank": ops.convert_to_tensor(one_hot, "float32"),
        "var_m": _squashed(ops.mean(ops.square(momenta - mean), axis=axes)),
        # The published weights were trained with the mean of the momenta here.
        "var_rms": _squashed(
            ops.mean(ops.square(second_moments - mean), axis=axes)
        ),
    }


def effective_rank(shape):
    """Number of dimensions larger than 1."""
    return sum(size > 1 for size in shape)


def _squashed(x):
    return clip_log(x, scale=10.0) / 2.0


def lstm_inputs(params, tensors, shapes, shared):
    """What the LSTM sees of every tensor.

    Args:
        params: List of [*shape], (1,) for a scalar.
        tensors: List of slots, from before the update.
        shapes: List of the shapes that the tensors have.
        shared: Dict of [k], the features that are the same for all tensors.

    Returns:
        [t, 30].
    """
    rows = []
    for param, slots, shape in zip(params, tensors, shapes, strict=True):
        own = tensor_features(param, slots, effective_rank(shape))
        named = {**shared, **own}
        rows.append(ops.concatenate([named[k] for k in sorted(named)]))
    return ops.stack(rows)

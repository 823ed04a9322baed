"""What `hierarchical` sees: losses, tensors, gradients (arXiv 2009.11243)."""

import math

from keras import ops

from keras_lopt.rules import statistics
from keras_lopt.rules.statistics import clip_log, mean_square, norm

MAX_RANK = 4
TRAIN_LOSS_DECAY = 0.9
VALID_LOSS_DECAY = 0.95
CLIP_DECAY = 0.99
#: In the order of the published weights, which is alphabetical.
TENSOR_FEATURES = (
    "g_norm",
    "is_scalar",
    "mean_ms_mag",
    "mean_ms_sign",
    "mean_rms",
    "mean_sign",
    "mean_v_mag",
    "mean_v_sign",
    "norm_weight",
    "shape_0",
    "shape_1",
    "shape_2",
    "shape_3",
    "train_loss_feat",
    "valid_loss_feat",
    "var_ms",
    "var_rms",
    "var_v",
)


def check_ranks(params):
    """Raises ValueError for a tensor of more than 4 dimensions."""
    for i, param in enumerate(params):
        if len(param.shape) > MAX_RANK:
            raise ValueError(
                "Rule 'hierarchical' looks at 4 dimensions: `params` must be "
                f"of rank {MAX_RANK} at most. Received: params[{i}] with "
                f"shape={tuple(param.shape)}"
            )


def tensor_features(grads, params, tensors, shapes, loss_features):
    """The features of each tensor.

    Args:
        grads: List of [n].
        params: List of [n].
        tensors: List of dicts with the new `momenta` and `second_moments`.
        shapes: List of the shapes that the tensors have.
        loss_features: Two scalars, of the training and validation loss.

    Returns:
        List of [18].
    """
    return [
        _features_of_one(grad, param, slots, shape, loss_features)
        for grad, param, slots, shape in zip(grads, params, tensors, shapes)
    ]


def _features_of_one(grad, param, slots, shape, loss_features):
    momenta, second_moments = slots["momenta"], slots["second_moments"]
    named = {
        "g_norm": clip_log(norm(grad)),
        "is_scalar": -1.0 if len(shape) else 1.0,
        "mean_ms_mag": clip_log(ops.mean(momenta)),
        "mean_ms_sign": ops.sign(ops.mean(momenta)),
        "mean_rms": clip_log(ops.mean(second_moments)),
        "mean_sign": ops.sign(ops.mean(second_moments)),
        "mean_v_mag": clip_log(ops.mean(param)),
        "mean_v_sign": ops.sign(ops.mean(param)),
        "norm_weight": clip_log(norm(param)),
        "train_loss_feat": loss_features[0],
        "valid_loss_feat": loss_features[1],
        "var_ms": clip_log(_variance(momenta)),
        "var_rms": clip_log(_variance(second_moments)),
        "var_v": clip_log(_variance(param)),
    }
    padded = [*shape, *[1] * (MAX_RANK - len(shape))]
    for axis, size in enumerate(padded):
        named[f"shape_{axis}"] = math.log(size) - 1.0
    return ops.stack([ops.cast(named[k], "float32") for k in TENSOR_FEATURES])


def _variance(x):
    return ops.mean(ops.square(x - ops.mean(x)))


def init_clip():
    return {"count": ops.ones(()), "scale": 0.01 * ops.ones(())}


def clip_gradients(grads, slots):
    """Gradients clipped to ten times their usual size, and the new slots."""
    unbiased = slots["scale"] / (1.0 - ops.power(CLIP_DECAY, slots["count"]))
    limit = 10.0 * unbiased
    grads = [ops.clip(grad, -limit, limit) for grad in grads]
    squares = [mean_square(grad) for grad in grads]
    size = ops.sqrt(1e-8 + sum(squares) / len(squares))
    return grads, {
        "count": slots["count"] + 1.0,
        "scale": CLIP_DECAY * slots["scale"] + (1.0 - CLIP_DECAY) * size,
    }


def take_losses(slots, signals):
    """New statistics of both losses; features of training and validation."""
    train = statistics.update_loss_statistics(
        slots["train_loss"],
        ops.cast(signals["train_loss"], "float32"),
        TRAIN_LOSS_DECAY,
    )
    valid = slots["valid_loss"]
    if signals.get("valid_loss") is not None:
        loss = ops.cast(signals["valid_loss"], "float32")
        new = statistics.update_loss_statistics(valid, loss, VALID_LOSS_DECAY)
        is_there = ops.logical_not(ops.isnan(loss))
        valid = {
            k: ops.where(is_there, new[k], old) for k, old in valid.items()
        }
    usual = statistics.corrected(valid, "mean", VALID_LOSS_DECAY)
    features = [
        statistics.loss_feature(train, value, TRAIN_LOSS_DECAY)
        for value in (ops.cast(signals["train_loss"], "float32"), usual)
    ]
    return {"train_loss": train, "valid_loss": valid}, features


def shared_features(time, param, num_tensors, to_mlp):
    """What all entries of a tensor see, not normalised. [31]"""
    sizes = ops.stack(
        [
            ops.cast(math.log(num_tensors) - 1.0, "float32"),
            ops.log(norm(param) + 1e-8),
            ops.cast(math.log(param.shape[0]), "float32"),
        ]
    )
    return ops.concatenate([time, sizes, to_mlp])

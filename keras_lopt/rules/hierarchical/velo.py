"""velo: an LSTM per tensor mixes a bank of MLPs (Metz 2022, 2211.09760).

"VeLO: training versatile learned optimizers by scaling up", by Metz, Harrison,
Freeman and others.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_lopt.rules.hierarchical.hypernetwork import HypernetworkRule
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_flags,
    check_positive,
)
from keras_lopt.rules.memory import history
from keras_lopt.rules.memory.progress import NUM_FEATURES
from keras_lopt.rules.memory.statistics import clip_log, mean_square
from keras_lopt.rules.registry import register

NUM_RANKS = 5
NUM_INPUTS = NUM_FEATURES + 1 + NUM_RANKS + 2 * len(history.MOMENTUM_DECAYS)


@register("velo")
@dataclasses.dataclass(frozen=True)
class VeLORule(HypernetworkRule):
    """Hypernetwork: it mixes an MLP for every tensor at every step.

    step = lr * o0 * exp(o1 * exp_mult) * step_mult * RMS of the parameter, for
    the outputs o0, o1 of the MLP and lr of the LSTM.

    Args:
        lstm_units: Width of the LSTM.
        bank_size: Number of MLPs that are mixed.
        hidden_units: Width of their two hidden layers.
        step_mult: Scale of the step, in units of the parameter's RMS.
        exp_mult: Scale of the magnitude output inside the exponential.
        bank_mult: Factor on the mixed weights of the MLPs. The small variant
            of the paper's authors was trained with 1.
        loss_buffer_horizon: Longest span of the running means of the loss, in
            steps. None means the horizon of the training. Some weights to
            import were trained with 10.
        frozen_lstm_state: Whether the LSTM starts from its initial state at
            every step. Some weights to import were trained that way.
    """

    bank_mult: float = 100.0
    loss_buffer_horizon: int | None = None
    frozen_lstm_state: bool = False

    num_inputs: ClassVar[int] = NUM_INPUTS

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "bank_mult")
        if self.loss_buffer_horizon is not None:
            check_counts(self, "loss_buffer_horizon")
        check_flags(self, "frozen_lstm_state")

    def lstm_rows(self, num_tensors):
        return num_tensors

    def lstm_inputs(self, params, tensors, shapes, shared):
        return lstm_inputs(params, tensors, shapes, shared)

    def mixture(self, controls):
        return controls * (self.bank_mult / self.bank_size)

    def rates(self, outputs):
        return outputs

    def loss_span(self, horizon):
        return self.loss_buffer_horizon or horizon

    def next_lstm_state(self, old, new):
        return old if self.frozen_lstm_state else new


def lstm_inputs(params, tensors, shapes, shared):
    """What the LSTM sees of each tensor.

    Args:
        params: List of [*shape], (1,) for a scalar.
        tensors: List of slots, before the update.
        shapes: List of the tensors' own shapes.
        shared: Dict of [k], features that are the same for all tensors.

    Returns:
        [t, 30].
    """
    rows = []
    for param, slots, shape in zip(params, tensors, shapes, strict=True):
        own = tensor_features(param, slots, effective_rank(shape))
        named = {**shared, **own}
        rows.append(ops.concatenate([named[k] for k in sorted(named)]))
    return ops.stack(rows)


def tensor_features(param, slots, rank):
    """Features of one tensor, before its accumulators are updated.

    Args:
        param: [*shape].
        slots: As from `history.init_history`.
        rank: Number of dimensions larger than 1.

    Returns:
        Dict of [k]. The alphabetical order of its names is the order of the
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
        # The authors trained with the mean of the momenta here.
        "var_rms": _squashed(
            ops.mean(ops.square(second_moments - mean), axis=axes)
        ),
    }


def effective_rank(shape):
    """Number of dimensions larger than 1."""
    return sum(size > 1 for size in shape)


def _squashed(x):
    return clip_log(x, scale=10.0) / 2.0

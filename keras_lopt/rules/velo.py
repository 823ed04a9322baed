"""velo: an LSTM per tensor mixes a bank of MLPs (Metz 2022, 2211.09760).

"VeLO: training versatile learned optimizers by scaling up", by Metz, Harrison,
Freeman and others.
"""

import dataclasses
from typing import ClassVar

from keras_lopt.rules import velo_inputs
from keras_lopt.rules.hypernetwork import HypernetworkRule
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_flags,
    check_positive,
)
from keras_lopt.rules.registry import register


@register("velo")
@dataclasses.dataclass(frozen=True)
class VeLORule(HypernetworkRule):
    """Hypernetwork: every tensor gets an MLP of its own at every step.

    step = lr * o0 * exp(o1 * exp_mult) * step_mult * RMS of the parameter, for
    outputs o of the MLP and lr of the LSTM.

    Args:
        lstm_units: Width of the LSTM.
        bank_size: Number of MLPs that are mixed.
        hidden_units: Width of their two hidden layers.
        step_mult: Scale of the step, in units of the parameter's RMS.
        exp_mult: Scale of the magnitude output inside the exponential.
        bank_mult: Factor on the mixed weights of the MLPs. The published
            small variant was trained with 1.
        loss_buffer_horizon: Longest span of the running means of the loss, in
            steps; None is the horizon of the training. Some published weights
            were trained with 10.
        frozen_lstm_state: Whether the LSTM starts from its initial state at
            every step, as some published weights were trained.
    """

    bank_mult: float = 100.0
    loss_buffer_horizon: int | None = None
    frozen_lstm_state: bool = False

    num_inputs: ClassVar[int] = velo_inputs.NUM_INPUTS

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "bank_mult")
        if self.loss_buffer_horizon is not None:
            check_counts(self, "loss_buffer_horizon")
        check_flags(self, "frozen_lstm_state")

    def lstm_rows(self, num_tensors):
        return num_tensors

    def lstm_inputs(self, params, tensors, shapes, shared):
        return velo_inputs.lstm_inputs(params, tensors, shapes, shared)

    def mixture(self, controls):
        return controls * (self.bank_mult / self.bank_size)

    def rates(self, outputs):
        return outputs

    def loss_span(self, horizon):
        return self.loss_buffer_horizon or horizon

    def next_lstm_state(self, old, new):
        return old if self.frozen_lstm_state else new

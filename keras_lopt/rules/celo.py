"""celo: an LSTM schedules one per-parameter MLP (Moudgil 2025, 2501.12670).

"Celo: training versatile learned optimizers on a compute diet", by Moudgil,
Knyazev, Lajoie and Belilovsky.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_lopt.rules import progress
from keras_lopt.rules.hypernetwork import HypernetworkRule
from keras_lopt.rules.hyperparameters import check_flags
from keras_lopt.rules.registry import register


@register("celo")
@dataclasses.dataclass(frozen=True)
class CeloRule(HypernetworkRule):
    """`velo` with one MLP, whose learning rate follows from time and loss.

    step = lr * o0 * exp(o1 * exp_mult) * step_mult * RMS of the parameter, for
    outputs o of the MLP, and lr = exp(l) / 10 for the output l of the LSTM.

    Args:
        lstm_units: Width of the LSTM.
        bank_size: Number of MLPs, of which the LSTM chooses by a softmax.
            Published weights have 1.
        hidden_units: Width of their two hidden layers.
        step_mult: Scale of the step, in units of the parameter's RMS.
        exp_mult: Scale of the magnitude output inside the exponential.
        is_scheduled: Whether there is lr. The first of the two phases of the
            published training had none, to learn the MLP before the LSTM.
    """

    lstm_units: int = 64
    bank_size: int = 1
    is_scheduled: bool = True

    num_inputs: ClassVar[int] = progress.NUM_FEATURES

    def __post_init__(self):
        super().__post_init__()
        check_flags(self, "is_scheduled")

    def lstm_rows(self, num_tensors):
        # The LSTM sees the same of every tensor, and so ends in one state.
        return 1

    def lstm_inputs(self, params, tensors, shapes, shared):
        rows = [shared["fraction_left"], shared["loss_features"]]
        return ops.concatenate(rows)[None]

    def mixture(self, controls):
        if self.bank_size == 1:
            return ops.ones_like(controls)  # Keras warns of such a softmax.
        return ops.softmax(controls, axis=-1) / self.bank_size

    def rates(self, outputs):
        if not self.is_scheduled:
            return ops.ones_like(outputs)
        return 0.1 * ops.exp(outputs)

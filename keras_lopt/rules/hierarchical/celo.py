"""celo: an LSTM schedules one per-parameter MLP (Moudgil 2025, 2501.12670).

"Celo: training versatile learned optimizers on a compute diet", by Moudgil,
Knyazev, Lajoie and Belilovsky.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_lopt.rules.hierarchical.hypernetwork import HypernetworkRule
from keras_lopt.rules.hyperparameters import check_flags
from keras_lopt.rules.memory import progress
from keras_lopt.rules.registry import register


@register("celo")
@dataclasses.dataclass(frozen=True)
class CeloRule(HypernetworkRule):
    """`velo` with a single MLP and a learning rate set by time and loss.

    step = lr * o0 * exp(o1 * exp_mult) * step_mult * RMS of the parameter, for
    the outputs o0, o1 of the MLP; lr = exp(l) / 10 for the LSTM's output l.

    Args:
        lstm_units: Width of the LSTM.
        bank_size: Number of MLPs, which the LSTM mixes by a softmax. The
            paper has 1.
        hidden_units: Width of their two hidden layers.
        step_mult: Scale of the step, in units of the parameter's RMS.
        exp_mult: Scale of the magnitude output inside the exponential.
        is_scheduled: Whether lr is used; otherwise it is 1. The paper trains
            in two phases, and the first, without lr, trains only the MLP.
    """

    lstm_units: int = 64
    bank_size: int = 1
    is_scheduled: bool = True

    num_inputs: ClassVar[int] = progress.NUM_FEATURES

    def __post_init__(self):
        super().__post_init__()
        check_flags(self, "is_scheduled")

    def lstm_rows(self, num_tensors):
        # The LSTM sees the same for every tensor, so one state is enough.
        return 1

    def lstm_inputs(self, params, tensors, shapes, shared):
        rows = [shared["fraction_left"], shared["loss_features"]]
        return ops.concatenate(rows)[None]

    def mixture(self, controls):
        if self.bank_size == 1:
            return ops.ones_like(controls)  # Keras warns about such a softmax.
        return ops.softmax(controls, axis=-1) / self.bank_size

    def rates(self, outputs):
        if not self.is_scheduled:
            return ops.ones_like(outputs)
        return 0.1 * ops.exp(outputs)

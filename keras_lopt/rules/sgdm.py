"""sgdm: gradient descent with momentum (Polyak 1964), both learned.

The meta-parameters are logarithms, as in google/learned_optimization. It is a
baseline and a control, and never part of self-training.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_lopt.rules.base import PerTensorRule
from keras_lopt.rules.hyperparameters import (
    check_fractions,
    check_positive,
    log_leaves,
)
from keras_lopt.rules.registry import register


@register("sgdm")
@dataclasses.dataclass(frozen=True)
class SGDMRule(PerTensorRule):
    """trace <- g + momentum * trace; step = learning_rate * trace.

    Args:
        learning_rate: Initial step size, > 0.
        momentum: Initial decay of the trace, in [0, 1).
    """

    learning_rate: float = 0.01
    momentum: float = 0.9

    hand_designed: ClassVar[bool] = True

    def __post_init__(self):
        check_positive(self, "learning_rate")
        check_fractions(self, "momentum")

    def theta_shapes(self):
        return {"log_lr": (), "one_minus_momentum": ()}

    def init_theta(self, seed):
        del seed  # Nothing is random.
        return log_leaves(
            log_lr=self.learning_rate, one_minus_momentum=1.0 - self.momentum
        )

    def imported_paths(self):
        return {leaf: leaf for leaf in self.theta_shapes()}

    def init_tensor_slots(self, theta, size):
        del theta
        return {"trace": ops.zeros((size,), dtype="float32")}

    def update_tensor(self, theta, grad, param, slots, signals):
        momentum = 1.0 - ops.exp(theta["one_minus_momentum"])
        trace = grad + momentum * slots["trace"]
        return -ops.exp(theta["log_lr"]) * trace, {"trace": trace}

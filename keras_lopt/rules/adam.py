"""adam: Adam with learned hyperparameters (Kingma and Ba 2014, 1412.6980).

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


@dataclasses.dataclass(frozen=True)
class MomentsRule(PerTensorRule):
    """What `adam` and `nadamw` share: theta and the moments."""

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    hand_designed: ClassVar[bool] = True

    def __post_init__(self):
        check_positive(self, "learning_rate", "epsilon")
        check_fractions(self, "beta1", "beta2")

    def theta_shapes(self):
        return dict.fromkeys(self.init_theta(seed=0), ())

    def init_theta(self, seed):
        del seed  # Nothing is random.
        return log_leaves(
            log_lr=self.learning_rate,
            one_minus_beta1=1.0 - self.beta1,
            one_minus_beta2=1.0 - self.beta2,
            log_epsilon=self.epsilon,
        )

    def init_tensor_slots(self, theta, size):
        del theta
        return {
            "momentum": ops.zeros((size,), dtype="float32"),
            "second_moment": ops.zeros((size,), dtype="float32"),
        }

    def update_moments(self, theta, grad, slots):
        """The decays beta1 and beta2, and the new slots."""
        beta1 = 1.0 - ops.exp(theta["one_minus_beta1"])
        beta2 = 1.0 - ops.exp(theta["one_minus_beta2"])
        return (
            beta1,
            beta2,
            {
                "momentum": beta1 * slots["momentum"] + (1.0 - beta1) * grad,
                "second_moment": beta2 * slots["second_moment"]
                + (1.0 - beta2) * grad * grad,
            },
        )


@register("adam")
@dataclasses.dataclass(frozen=True)
class AdamRule(MomentsRule):
    """Adam, whose hyperparameters are theta; arguments are initial values.

    Args:
        learning_rate: Step size, > 0.
        beta1: Decay of the momentum, in [0, 1).
        beta2: Decay of the second moment, in [0, 1).
        epsilon: Added to the root of the second moment, > 0.
    """

    def imported_paths(self):
        return {leaf: leaf for leaf in self.theta_shapes()}

    def update_tensor(self, theta, grad, param, slots, signals):
        beta1, beta2, slots = self.update_moments(theta, grad, slots)
        count = ops.cast(signals["step"], "float32") + 1.0
        unbiased = slots["momentum"] / (1.0 - ops.power(beta1, count))
        variance = slots["second_moment"] / (1.0 - ops.power(beta2, count))
        # google/learned_optimization has an epsilon inside the root as well.
        step = unbiased / (
            ops.sqrt(variance + 1e-8) + ops.exp(theta["log_epsilon"])
        )
        return -ops.exp(theta["log_lr"]) * step, slots

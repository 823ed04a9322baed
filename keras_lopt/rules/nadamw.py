"""nadamw: NAdam (Dozat 2016) with decoupled weight decay (arXiv 1711.05101).

Adam with Nesterov momentum; the weight decay is Loshchilov's and Hutter's. The
meta-parameters are logarithms, as for `adam`. A baseline and a control, never
part of self-training.
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


@register("nadamw")
@dataclasses.dataclass(frozen=True)
class NAdamWRule(PerTensorRule):
    """NAdamW; theta holds its hyperparameters, these are where they start.

    Args:
        learning_rate: Step size, > 0.
        beta1: Decay of the momentum, in [0, 1).
        beta2: Decay of the second moment, in [0, 1).
        epsilon: Added to the root of the second moment, > 0.
        weight_decay: Part of the parameter in the step, before the learning
            rate; > 0.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 1e-4

    hand_designed: ClassVar[bool] = True

    def __post_init__(self):
        check_positive(self, "learning_rate", "epsilon", "weight_decay")
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
            log_weight_decay=self.weight_decay,
        )

    def init_tensor_slots(self, theta, size):
        del theta
        return {
            "momentum": ops.zeros((size,)),
            "second_moment": ops.zeros((size,)),
        }

    def update_tensor(self, theta, grad, param, slots, signals):
        beta1 = 1.0 - ops.exp(theta["one_minus_beta1"])
        beta2 = 1.0 - ops.exp(theta["one_minus_beta2"])
        momentum = beta1 * slots["momentum"] + (1.0 - beta1) * grad
        second_moment = (
            beta2 * slots["second_moment"] + (1.0 - beta2) * grad * grad
        )
        count = ops.cast(signals["step"], "float32") + 1.0
        # Nesterov: the momentum as the next gradient would leave it, were it
        # this one.
        ahead = beta1 * momentum / (1.0 - ops.power(beta1, count + 1.0))
        now = (1.0 - beta1) * grad / (1.0 - ops.power(beta1, count))
        variance = second_moment / (1.0 - ops.power(beta2, count))
        step = (ahead + now) / (
            ops.sqrt(variance) + ops.exp(theta["log_epsilon"])
        )
        step = step + ops.exp(theta["log_weight_decay"]) * param
        slots = {"momentum": momentum, "second_moment": second_moment}
        return -ops.exp(theta["log_lr"]) * step, slots

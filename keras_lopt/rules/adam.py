"""adam: Adam with learned hyperparameters (Kingma and Ba 2014, 1412.6980).

As parametrised by google/learned_optimization: the meta-parameters are
logarithms. A baseline and a control, never part of self-training.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.checks import check_number
from keras_lopt.rules.base import PerTensorRule
from keras_lopt.rules.registry import register


@register("adam")
@dataclasses.dataclass(frozen=True)
class AdamRule(PerTensorRule):
    """Adam; theta holds its hyperparameters, these are where they start.

    Args:
        learning_rate: Step size, > 0.
        beta1: Decay of the momentum, in [0, 1).
        beta2: Decay of the second moment, in [0, 1).
        epsilon: Added to the root of the second moment, > 0.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    hand_designed: ClassVar[bool] = True

    def __post_init__(self):
        for field in ("learning_rate", "epsilon"):
            check_number(field, getattr(self, field), "(0, inf)")
        for field in ("beta1", "beta2"):
            check_number(field, getattr(self, field), "[0, 1)")

    def theta_shapes(self):
        return dict.fromkeys(
            ("log_lr", "one_minus_beta1", "one_minus_beta2", "log_epsilon"), ()
        )

    def init_theta(self, seed):
        del seed  # Nothing is random.
        values = {
            "log_lr": math.log(self.learning_rate),
            "one_minus_beta1": math.log(1.0 - self.beta1),
            "one_minus_beta2": math.log(1.0 - self.beta2),
            "log_epsilon": math.log(self.epsilon),
        }
        return {k: np.asarray(v, np.float32) for k, v in values.items()}

    def published_paths(self):
        return {leaf: leaf for leaf in self.theta_shapes()}

    def init_tensor_slots(self, theta, size):
        del theta
        return {
            "momentum": ops.zeros((size,)),
            "second_moment": ops.zeros((size,)),
        }

    def update_tensor(self, theta, grad, param, slots, signals):
        beta1 = 1.0 - ops.exp(theta["one_minus_beta1"])
        beta2 = 1.0 - ops.exp(theta["one_minus_beta2"])
        epsilon = ops.exp(theta["log_epsilon"])
        momentum = beta1 * slots["momentum"] + (1.0 - beta1) * grad
        second_moment = (
            beta2 * slots["second_moment"] + (1.0 - beta2) * grad * grad
        )
        count = ops.cast(signals["step"], "float32") + 1.0
        unbiased = momentum / (1.0 - ops.power(beta1, count))
        variance = second_moment / (1.0 - ops.power(beta2, count))
        # Upstream has an epsilon inside the root as well.
        step = unbiased / (ops.sqrt(variance + 1e-8) + epsilon)
        slots = {"momentum": momentum, "second_moment": second_moment}
        return -ops.exp(theta["log_lr"]) * step, slots

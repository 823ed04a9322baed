"""nadamw: NAdam (Dozat 2016) with decoupled weight decay (arXiv 1711.05101).

Adam with Nesterov momentum, and the weight decay of Loshchilov and Hutter. The
meta-parameters are logarithms, as for `adam`. It is a baseline and a control,
and never part of self-training.
"""

import dataclasses

from keras import ops

from keras_lopt.rules.adam import MomentsRule
from keras_lopt.rules.hyperparameters import check_positive, log_leaves
from keras_lopt.rules.registry import register


@register("nadamw")
@dataclasses.dataclass(frozen=True)
class NAdamWRule(MomentsRule):
    """NAdamW, whose hyperparameters are theta; arguments are initial values.

    Args:
        learning_rate: Step size, > 0.
        beta1: Decay of the momentum, in [0, 1).
        beta2: Decay of the second moment, in [0, 1).
        epsilon: Added to the root of the second moment, > 0.
        weight_decay: Share of the parameter that is added to the step, before
            the learning rate; > 0.
    """

    weight_decay: float = 1e-4

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "weight_decay")

    def init_theta(self, seed):
        return {
            **super().init_theta(seed),
            **log_leaves(log_weight_decay=self.weight_decay),
        }

    def update_tensor(self, theta, grad, param, slots, signals):
        beta1, beta2, slots = self.update_moments(theta, grad, slots)
        count = ops.cast(signals["step"], "float32") + 1.0
        # Nesterov: the momentum after the next gradient, if that were equal to
        # this one.
        momentum = beta1 * slots["momentum"]
        ahead = momentum / (1.0 - ops.power(beta1, count + 1.0))
        now = (1.0 - beta1) * grad / (1.0 - ops.power(beta1, count))
        variance = slots["second_moment"] / (1.0 - ops.power(beta2, count))
        step = (ahead + now) / (
            ops.sqrt(variance) + ops.exp(theta["log_epsilon"])
        )
        step = step + ops.exp(theta["log_weight_decay"]) * param
        return -ops.exp(theta["log_lr"]) * step, slots

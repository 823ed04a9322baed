"""sgd: gradient descent with a learned learning rate.

The meta-parameter is a logarithm, as in google/learned_optimization. It is a
baseline and a control, and never part of self-training.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_lopt.rules.base import PerTensorRule
from keras_lopt.rules.hyperparameters import check_positive, log_leaves
from keras_lopt.rules.registry import register


@register("sgd")
@dataclasses.dataclass(frozen=True)
class SGDRule(PerTensorRule):
    """step = learning_rate * g.

    Args:
        learning_rate: Initial step size, > 0.
    """

    learning_rate: float = 0.01

    hand_designed: ClassVar[bool] = True

    def __post_init__(self):
        check_positive(self, "learning_rate")

    def theta_shapes(self):
        return {"log_lr": ()}

    def init_theta(self, seed):
        del seed  # Nothing is random.
        return log_leaves(log_lr=self.learning_rate)

    def imported_paths(self):
        return {leaf: leaf for leaf in self.theta_shapes()}

    def init_tensor_slots(self, theta, size):
        del theta, size
        return {}

    def update_tensor(self, theta, grad, param, slots, signals):
        return -ops.exp(theta["log_lr"]) * grad, slots

"""mlp: a per-parameter MLP on momenta (Metz et al. 2018, arXiv 1810.10180)."""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.rules import blocks, networks, published_shapes
from keras_lopt.rules.accumulators import moving_averages
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_positive,
)
from keras_lopt.rules.perceptron_rule import PerceptronRule
from keras_lopt.rules.registry import register


@register("mlp")
@dataclasses.dataclass(frozen=True)
class MLPRule(PerceptronRule):
    """MLP on gradient, parameter, six momenta, and 11 features of the time.

    step = o0 * exp(o1 * exp_mult) * step_mult, for the MLP's outputs o0, o1.

    Args:
        hidden_units: Width of the hidden layers.
        hidden_layers: Number of hidden layers, at least 1.
        step_mult: Scale of the step, in units of the parameter.
        exp_mult: Scale of the magnitude output inside the exponential.
    """

    hidden_units: int = 32
    hidden_layers: int = 2
    step_mult: float = 1e-3
    exp_mult: float = 1e-3

    momentum_decays: ClassVar[tuple[float, ...]] = (
        0.1,
        0.5,
        0.9,
        0.99,
        0.999,
        0.9999,
    )

    def __post_init__(self):
        check_counts(self, "hidden_units", "hidden_layers")
        check_positive(self, "step_mult")
        check_finite(self, "exp_mult")

    @property
    def _sizes(self):
        zero = ops.zeros((1,))
        entries = self.entries(zero, zero, self.init_tensor_slots(None, 1))
        count = sum(map(len, blocks.whole(self.features, entries)))
        inputs = count + len(networks.TIME_SCALES)
        return [inputs] + [self.hidden_units] * self.hidden_layers + [2]

    def theta_shapes(self):
        return networks.mlp_shapes(self._sizes)

    def init_theta(self, seed):
        return networks.init_mlp(np.random.default_rng(seed), self._sizes)

    def published_paths(self):
        return {
            leaf: f"mlp/~/linear_{leaf[1:]}/{leaf[0]}"
            for leaf in self.theta_shapes()
        }

    @classmethod
    def published_config(cls, shapes):
        return published_shapes.mlp_config(
            shapes, "mlp/~/linear_{}/w", "hidden_units", "hidden_layers"
        )

    def init_tensor_slots(self, theta, size):
        del theta
        return {"momenta": ops.zeros((len(self.momentum_decays), size))}

    def accumulate(self, theta, grad, slots):
        del theta
        momenta = moving_averages(self.momentum_decays, slots["momenta"], grad)
        return {"momenta": momenta}

    def entries(self, grad, param, slots):
        return {"grad": grad[None], "param": param[None], **slots}

    def features(self, entries):
        return [entries["grad"], entries["param"], entries["momenta"]]

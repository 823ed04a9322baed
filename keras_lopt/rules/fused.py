"""fused: a small per-parameter MLP, cheap enough to self-train on one core.

Ours. In the line of the per-parameter MLPs of Metz et al. 2018
(arXiv 1810.10180) and 2022 (arXiv 2203.11860), with momenta and one second
moment as history and no factored accumulators.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.checks import check_integer, check_number
from keras_lopt.rules import blocks, networks
from keras_lopt.rules.accumulators import inverse_root
from keras_lopt.rules.perceptron_rule import PerceptronRule
from keras_lopt.rules.registry import register


@register("fused")
@dataclasses.dataclass(frozen=True)
class FusedRule(PerceptronRule):
    """MLP on 11 normalised features of an entry and 11 of the time.

    step = o0 * exp(o1 * exp_mult) * step_mult, for the MLP's outputs o0, o1.

    Args:
        hidden_units: Width of the hidden layers.
        hidden_layers: Number of hidden layers, at least 1.
        step_mult: Scale of the step, in units of the parameter.
        exp_mult: Scale of the magnitude output inside the exponential.
    """

    hidden_units: int = 8
    hidden_layers: int = 2
    step_mult: float = 3e-3
    exp_mult: float = 1e-3

    momentum_decays: ClassVar[tuple[float, ...]] = (0.9, 0.99, 0.999)
    second_moment_decay: ClassVar[float] = 0.999

    def __post_init__(self):
        check_integer("hidden_units", self.hidden_units, 1)
        check_integer("hidden_layers", self.hidden_layers, 1)
        check_number("step_mult", self.step_mult, "(0, inf)")
        check_number("exp_mult", self.exp_mult, "[0, inf)")

    @property
    def num_entry_features(self):
        zero = ops.zeros((1,))
        entries = self.entries(zero, zero, self.init_tensor_slots(None, 1))
        return sum(map(len, blocks.whole(self.features, entries)))

    @property
    def _sizes(self):
        inputs = self.num_entry_features + len(networks.TIME_SCALES)
        return [inputs] + [self.hidden_units] * self.hidden_layers + [2]

    def theta_shapes(self):
        return networks.mlp_shapes(self._sizes)

    def init_theta(self, seed):
        return networks.init_mlp(np.random.default_rng(seed), self._sizes)

    def init_tensor_slots(self, theta, size):
        del theta
        return {
            "momenta": ops.zeros((len(self.momentum_decays), size)),
            "second_moment": ops.zeros((size,)),
        }

    def accumulate(self, theta, grad, slots):
        del theta
        decays = ops.convert_to_tensor(self.momentum_decays, "float32")[:, None]
        decay = self.second_moment_decay
        return {
            "momenta": decays * slots["momenta"] + (1.0 - decays) * grad,
            "second_moment": decay * slots["second_moment"]
            + (1.0 - decay) * grad * grad,
        }

    def entries(self, grad, param, slots):
        return {
            "grad": grad[None],
            "param": param[None],
            "momenta": slots["momenta"],
            "second_moment": slots["second_moment"][None],
        }

    def features(self, entries):
        """Before normalisation: lists of tensors, or of parts of them."""
        (grad,), momenta = entries["grad"], entries["momenta"]
        (second_moment,) = entries["second_moment"]
        scale = inverse_root(second_moment + 1e-6)
        return [
            [grad],
            entries["param"],
            momenta,
            [second_moment],
            [momentum * scale for momentum in momenta],
            [scale],
            [grad * scale],
        ]

"""fused: a small per-parameter MLP, cheap enough to self-train on one core.

Our own, after the per-parameter MLPs of Metz et al. 2018 (arXiv 1810.10180) and
2022 (arXiv 2203.11860). It remembers momenta and one second moment, and has no
factored accumulators.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_lopt.checks import check_number
from keras_lopt.rules.memory.accumulators import inverse_root
from keras_lopt.rules.perceptron_rule import PerceptronRule
from keras_lopt.rules.registry import register


@register("fused")
@dataclasses.dataclass(frozen=True)
class FusedRule(PerceptronRule):
    """MLP on 11 normalized features of an entry and 11 of the time.

    Hyperparameters and formula are those of `PerceptronRule`; `exp_mult` must
    not be negative.
    """

    hidden_units: int = 8
    step_mult: float = 3e-3

    momentum_decays: ClassVar[tuple[float, ...]] = (0.9, 0.99, 0.999)
    second_moment_decay: ClassVar[float] = 0.999

    def __post_init__(self):
        super().__post_init__()
        check_number("exp_mult", self.exp_mult, "[0, inf)")

    def init_tensor_slots(self, theta, size):
        del theta
        return {
            "momenta": ops.zeros(
                (len(self.momentum_decays), size), dtype="float32"
            ),
            "second_moment": ops.zeros((size,), dtype="float32"),
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

"""mlp: a per-parameter MLP on momenta (Metz et al. 2018, arXiv 1810.10180)."""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_lopt.rules.hyperparameters import mlp_sizes
from keras_lopt.rules.memory.accumulators import moving_averages
from keras_lopt.rules.perceptron_rule import PerceptronRule
from keras_lopt.rules.registry import register


@register("mlp")
@dataclasses.dataclass(frozen=True)
class MLPRule(PerceptronRule):
    """MLP on gradient, parameter, six momenta, and 11 features of the time.

    Hyperparameters and formula are those of `PerceptronRule`.
    """

    momentum_decays: ClassVar[tuple[float, ...]] = (
        0.1,
        0.5,
        0.9,
        0.99,
        0.999,
        0.9999,
    )

    def imported_paths(self):
        return {
            leaf: f"mlp/~/linear_{leaf[1:]}/{leaf[0]}"
            for leaf in self.theta_shapes()
        }

    @classmethod
    def imported_config(cls, shapes):
        return mlp_sizes(
            shapes, "mlp/~/linear_{}/w", "hidden_units", "hidden_layers"
        )

    def init_tensor_slots(self, theta, size):
        del theta
        return {
            "momenta": ops.zeros(
                (len(self.momentum_decays), size), dtype="float32"
            )
        }

    def accumulate(self, theta, grad, slots):
        del theta
        momenta = moving_averages(self.momentum_decays, slots["momenta"], grad)
        return {"momenta": momenta}

    def entries(self, grad, param, slots):
        return {"grad": grad[None], "param": param[None], **slots}

    def features(self, entries):
        return [entries["grad"], entries["param"], entries["momenta"]]

"""adafac_mlp: per-parameter MLP, Adafactor features (Metz 2022, 2203.11860).

small_fc of "Practical tradeoffs between memory, compute, and performance in
learned optimizers", by Metz, Freeman, Harrison, Maheswaranathan and
Sohl-Dickstein.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from keras_lopt.rules.base import ShapedTensorRule
from keras_lopt.rules.hyperparameters import mlp_sizes
from keras_lopt.rules.memory import history
from keras_lopt.rules.memory.accumulators import learned_decays
from keras_lopt.rules.memory.factored import factored_features
from keras_lopt.rules.perceptron_rule import PerceptronRule
from keras_lopt.rules.registry import register


@register("adafac_mlp")
@dataclasses.dataclass(frozen=True)
class AdafacMLPRule(PerceptronRule, ShapedTensorRule):
    """MLP on 28 normalized features of an entry and 11 of the time.

    Hyperparameters and formula are those of `PerceptronRule`. The decays of
    the accumulators are learned too.
    """

    hidden_units: int = 4

    #: Theta leaf -> path in imported weights.
    _offset_paths: ClassVar[dict[str, str]] = {
        "momentum_offsets": "momentum_decays",
        "second_moment_offsets": "rms_decays",
        "factored_offsets": "adafactor_decays",
    }

    def theta_shapes(self):
        return {
            "momentum_offsets": (len(history.MOMENTUM_DECAYS),),
            "second_moment_offsets": (len(history.SECOND_MOMENT_DECAYS),),
            "factored_offsets": (len(history.FACTORED_DECAYS),),
            **super().theta_shapes(),
        }

    def init_theta(self, seed):
        offsets = {
            leaf: np.zeros(shape, np.float32)
            for leaf, shape in self.theta_shapes().items()
            if leaf in self._offset_paths
        }
        return {**offsets, **super().init_theta(seed)}

    def imported_paths(self):
        return {
            leaf: self._offset_paths.get(leaf, f"nn/~/{leaf}")
            for leaf in self.theta_shapes()
        }

    @classmethod
    def imported_config(cls, shapes):
        return mlp_sizes(shapes, "nn/~/w{}", "hidden_units", "hidden_layers")

    def init_tensor_slots(self, theta, shape):
        del theta
        return history.init_history(shape)

    def accumulate(self, theta, grad, slots):
        return history.update_history(
            slots,
            grad,
            learned_decays(history.MOMENTUM_DECAYS, theta["momentum_offsets"]),
            learned_decays(
                history.SECOND_MOMENT_DECAYS, theta["second_moment_offsets"]
            ),
            learned_decays(history.FACTORED_DECAYS, theta["factored_offsets"]),
        )

    def entries(self, grad, param, slots):
        return history.history_entries(grad, param, slots)

    def features(self, entries):
        momenta = entries["momenta"]
        scale = history.inverse_scale(entries)
        return [
            entries["grad"],
            entries["param"],
            momenta,
            entries["second_moments"],
            [momentum * scale for momentum in momenta],
            [scale],
            *factored_features(entries, full_epsilon=1e-6),
        ]

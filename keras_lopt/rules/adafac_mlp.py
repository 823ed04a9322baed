"""adafac_mlp: per-parameter MLP, Adafactor features (Metz 2022, 2203.11860).

small_fc of "Practical tradeoffs between memory, compute, and performance in
learned optimizers", by Metz, Freeman, Harrison, Maheswaranathan and
Sohl-Dickstein.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.rules import blocks, history, networks, published_shapes
from keras_lopt.rules.accumulators import learned_decays
from keras_lopt.rules.base import ShapedTensorRule
from keras_lopt.rules.factored import factored_features
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_positive,
)
from keras_lopt.rules.perceptron_rule import PerceptronRule
from keras_lopt.rules.registry import register


@register("adafac_mlp")
@dataclasses.dataclass(frozen=True)
class AdafacMLPRule(PerceptronRule, ShapedTensorRule):
    """MLP on 28 normalised features of an entry and 11 of the time.

    step = o0 * exp(o1 * exp_mult) * step_mult, for the MLP's outputs o0, o1.
    The decays of the accumulators are learned too.

    Args:
        hidden_units: Width of the hidden layers.
        hidden_layers: Number of hidden layers, at least 1.
        step_mult: Scale of the step, in units of the parameter.
        exp_mult: Scale of the magnitude output inside the exponential.
    """

    hidden_units: int = 4
    hidden_layers: int = 2
    step_mult: float = 1e-3
    exp_mult: float = 1e-3

    #: Theta leaf -> path of the published weights.
    _offset_paths: ClassVar[dict[str, str]] = {
        "momentum_offsets": "momentum_decays",
        "second_moment_offsets": "rms_decays",
        "factored_offsets": "adafactor_decays",
    }

    def __post_init__(self):
        check_counts(self, "hidden_units", "hidden_layers")
        check_positive(self, "step_mult")
        check_finite(self, "exp_mult")

    @property
    def _sizes(self):
        zero = ops.zeros((1,))
        slots = self.init_tensor_slots(None, (1,))
        entries = self.entries(zero, zero, slots)
        count = sum(map(len, blocks.whole(self.features, entries)))
        inputs = count + len(networks.TIME_SCALES)
        return [inputs] + [self.hidden_units] * self.hidden_layers + [2]

    def theta_shapes(self):
        offsets = {
            "momentum_offsets": (len(history.MOMENTUM_DECAYS),),
            "second_moment_offsets": (len(history.SECOND_MOMENT_DECAYS),),
            "factored_offsets": (len(history.FACTORED_DECAYS),),
        }
        return {**offsets, **networks.mlp_shapes(self._sizes)}

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        offsets = {
            leaf: np.zeros(shape, np.float32)
            for leaf, shape in self.theta_shapes().items()
            if leaf in self._offset_paths
        }
        return {**offsets, **networks.init_mlp(rng, self._sizes)}

    def published_paths(self):
        return {
            leaf: self._offset_paths.get(leaf, f"nn/~/{leaf}")
            for leaf in self.theta_shapes()
        }

    @classmethod
    def published_config(cls, shapes):
        return published_shapes.mlp_config(
            shapes, "nn/~/w{}", "hidden_units", "hidden_layers"
        )

    def init_tensor_slots(self, theta, shape):
        del theta
        return history.init_history(shape)

    def features(self, entries):
        """Before normalisation: lists of tensors, or of parts of them."""
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

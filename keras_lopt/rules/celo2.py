"""celo2: a per-parameter MLP whose output is made orthogonal (Moudgil 2026).

"Celo2: towards learned optimization free lunch", by Moudgil, Knyazev and
Belilovsky, arXiv 2602.19142. The learning rate sets the size of the step; only
its direction is learned.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.rules.base import ShapedTensorRule
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_flags,
    check_positive,
    of_rank,
)
from keras_lopt.rules.memory import history
from keras_lopt.rules.networks import grouped, layers
from keras_lopt.rules.networks.orthogonal import orthogonalized
from keras_lopt.rules.registry import register

SECOND_MOMENT_DECAYS = (0.95,)
NORMALIZER_EPSILON = 1e-9
#: Groups of features that vectors and scalars lack: they describe rows and
#: columns.
ROW_AND_COLUMN_GROUPS = 5
# AdamW for vectors, as in the authors' experiments.
BETA1, BETA2, ADAM_EPSILON = 0.9, 0.95, 1e-8
#: Of Adam without bias correction, in the runs that train theta.
UNCORRECTED_BETA2 = 0.999


@register("celo2")
@dataclasses.dataclass(frozen=True)
class Celo2Rule(ShapedTensorRule):
    """MLP on an entry's features; only the direction of its output is used.

    step = step_mult * normalized(o0 * exp(o1 * exp_mult)) for the outputs o0,
    o1 of the MLP. The output for a matrix (the last two dimensions of a
    tensor) is first made orthogonal. Adam trains vectors and scalars, at
    `vector_mult` times the learning rate. Without both it is Celo2-base.

    Adam's decays are 0.9 and 0.95, as in the authors' experiments. The runs of
    their code that train the rule itself have another Adam: see
    `bias_correction`. They also train embeddings by Adam. A rule does not see
    the names of variables, so give embeddings to another optimizer, for example
    with `MultiOptimizer`. Weight decay is that of the optimizer, with its
    learning rate for all tensors.

    Args:
        hidden_units: Width of the two hidden layers.
        step_mult: RMS of the step, in units of the parameter. The authors use
            a schedule instead; here that is the optimizer's `learning_rate`.
        exp_mult: Scale of the magnitude output inside the exponential.
        is_orthogonal: Whether the steps of matrices are made orthogonal.
        adam_for_vectors: Whether Adam trains tensors of rank 0 and 1.
        vector_mult: Factor on the learning rate of those tensors.
        bias_correction: Whether Adam corrects its moments for their start at
            zero. False is Adam as theta was trained with by the authors' code
            (github.com/amoudgl/celo): not corrected, with decays 0.9 and
            0.999, and with its epsilon under the root.
    """

    hidden_units: int = 8
    step_mult: float = 1e-3
    exp_mult: float = 0.0
    is_orthogonal: bool = True
    adam_for_vectors: bool = True
    vector_mult: float = 20.0
    bias_correction: bool = True

    hand_designed: ClassVar[bool] = True  # Adam is part of it.

    def __post_init__(self):
        check_counts(self, "hidden_units")
        check_positive(self, "step_mult", "vector_mult")
        check_finite(self, "exp_mult")
        check_flags(
            self, "is_orthogonal", "adam_for_vectors", "bias_correction"
        )

    # Theta.

    def theta_shapes(self):
        return grouped.theta_shapes(self.hidden_units)

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        return grouped.init_theta(rng, self.theta_shapes())

    def imported_paths(self):
        return grouped.imported_paths(self.theta_shapes())

    @classmethod
    def imported_config(cls, shapes):
        units, _ = of_rank(2, shapes["ff_mod_stack/~/w1"])
        return {"hidden_units": units}

    # Slots.

    def _is_for_adam(self, shape):
        return self.adam_for_vectors and len(shape) < 2

    def init_tensor_slots(self, theta, shape):
        del theta
        if self._is_for_adam(shape):
            return {
                "momentum": ops.zeros(shape, dtype="float32"),
                "second_moment": ops.zeros(shape, dtype="float32"),
            }
        return history.init_history(shape)

    # One step.

    def update_tensor(self, theta, grad, param, slots, signals):
        if self._is_for_adam(param.shape):
            if self.bias_correction:
                count = ops.cast(signals["step"], "float32") + 1.0
                step, slots = _adam(grad, slots, count)
            else:
                step, slots = _uncorrected_adam(grad, slots)
            return -self.vector_mult * self.step_mult * step, slots
        grad = grouped.clipped(grad)
        slots = history.update_history(
            slots, grad, second_moment_decays=SECOND_MOMENT_DECAYS
        )
        entries = history.history_entries(grad, param, slots)
        groups = layers.features_of_whole(_features, entries)
        features = [ops.stack(group) for group in groups]
        if len(param.shape) < 2:
            features = features[:-ROW_AND_COLUMN_GROUPS]
        outputs = self._mlp(theta, [_normalized(f) for f in features])
        step = layers.step_of(outputs, self.exp_mult)
        step = ops.reshape(step, param.shape)
        if self.is_orthogonal and len(param.shape) >= 2:
            step = orthogonalized(step)
        return -self.step_mult * _normalized(step[None])[0], slots

    def _mlp(self, theta, features):
        """Outputs [3, n] for groups of features, each [k, *shape]."""
        shape = features[0].shape[1:]
        units = 0.0
        for i, group in enumerate(features):
            rows = ops.reshape(group, (group.shape[0], -1))
            part = ops.matmul(ops.transpose(theta[f"w0_{i}"]), rows)
            units = units + ops.reshape(part, (-1, *group.shape[1:]))
        units = ops.reshape(units, (-1, math.prod(shape)))
        hidden = ops.relu(units + theta["b0"][:, None])
        return layers.perceptron(layers.layers_from(theta, 1), hidden)


def _features(entries):
    (second_moment,) = entries["second_moments"]
    return grouped.entry_features(entries, ops.rsqrt(second_moment + 1e-8))


def _normalized(x):
    """Scales [k, *shape] to RMS 1 over the last two dimensions of shape."""
    axes = tuple(range(1, len(x.shape)))[-2:]
    mean = ops.mean(x * x, axis=axes, keepdims=True)
    return x * ops.rsqrt(NORMALIZER_EPSILON + mean)


def _moments(grad, slots, beta2):
    old, square = slots["momentum"], slots["second_moment"]
    return {
        "momentum": BETA1 * old + (1.0 - BETA1) * grad,
        "second_moment": beta2 * square + (1.0 - beta2) * grad * grad,
    }


def _adam(grad, slots, count):
    """Adam's step without its learning rate, and the new slots."""
    new = _moments(grad, slots, BETA2)
    unbiased = new["momentum"] / (1.0 - ops.power(BETA1, count))
    root = ops.sqrt(new["second_moment"] / (1.0 - ops.power(BETA2, count)))
    return unbiased / (root + ADAM_EPSILON), new


def _uncorrected_adam(grad, slots):
    """The same for `bias_correction=False`."""
    new = _moments(grad, slots, UNCORRECTED_BETA2)
    root = ops.sqrt(new["second_moment"] + ADAM_EPSILON)
    return new["momentum"] / root, new

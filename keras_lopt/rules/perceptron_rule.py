"""What `mlp`, `adafac_mlp` and `fused` share: an MLP on normalized features."""

import dataclasses

import numpy as np
from keras import ops

from keras_lopt.rules.base import PerTensorRule
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_positive,
)
from keras_lopt.rules.memory import progress
from keras_lopt.rules.networks import layers, segments
from keras_lopt.rules.networks.normalized import normalized_perceptron

#: Vectors are joined if at least `FEWEST_JOINED` of them have at most
#: `LARGEST_JOINED` entries, because that compiles faster. Longer vectors are
#: worth a program of their own.
LARGEST_JOINED, FEWEST_JOINED = 4096, 8
#: Fewer vectors are joined only if they are shorter than this, because only
#: those run faster: two of 32 entries took 8 us instead of 10, six of 32 took
#: 11 instead of 28, but six of 300 took 29 instead of 22.
FEW_ENTRIES = layers.UNROLLED_ENTRIES


@dataclasses.dataclass(frozen=True)
class PerceptronRule(PerTensorRule):
    """A rule whose step is the output of an MLP on every entry.

    step = o0 * exp(o1 * exp_mult) * step_mult, for the MLP's outputs o0, o1.
    Its inputs are normalized features of the entry and 11 features of the
    time. Subclasses implement `accumulate`, `entries` and `features`. Many
    small vectors share one run of the MLP.

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

    def __post_init__(self):
        check_counts(self, "hidden_units", "hidden_layers")
        check_positive(self, "step_mult")
        check_finite(self, "exp_mult")

    # What subclasses implement.

    def accumulate(self, theta, grad, slots):
        """The new slots of one tensor."""
        raise NotImplementedError

    def entries(self, grad, param, slots):
        """What the features are computed from, with new slots.

        Returns:
            Dict of [c, *shape], with size 1 for dimensions along which they
            are constant.
        """
        raise NotImplementedError

    def features(self, entries):
        """The features before normalization: a list of lists of tensors.

        Args:
            entries: As from `entries`, as lists of tensors; for a whole
                tensor or a part of it.
        """
        raise NotImplementedError

    # Theta.

    @property
    def num_entry_features(self):
        """Number of features of an entry."""
        zero = ops.zeros((1,), dtype="float32")
        (slots,) = self.init_slots(None, [zero])
        entries = self.entries(zero, zero, slots)
        return sum(map(len, layers.features_of_whole(self.features, entries)))

    @property
    def _sizes(self):
        inputs = self.num_entry_features + len(progress.TIME_SCALES)
        return [inputs] + [self.hidden_units] * self.hidden_layers + [2]

    def theta_shapes(self):
        return layers.mlp_shapes(self._sizes)

    def init_theta(self, seed):
        return layers.init_mlp(np.random.default_rng(seed), self._sizes)

    # One step.

    def update_tensor(self, theta, grad, param, slots, signals):
        slots = self.accumulate(theta, grad, slots)
        entries = self.entries(grad, param, slots)
        return self._delta(theta, entries, signals), slots

    def update_tensors(self, theta, tensors, signals):
        small = _worth_joining([param for _, param, _ in tensors])
        if not small:
            return super().update_tensors(theta, tensors, signals)
        joined = [tensors[i] for i in small]
        joined = dict(zip(small, self._update_joined(theta, joined, signals)))
        return [
            joined[i] if i in joined else self.update_tensor(theta, *t, signals)
            for i, t in enumerate(tensors)
        ]

    def _update_joined(self, theta, tensors, signals):
        """`update_tensors` for vectors that share one run of the MLP."""
        new_slots, entries = [], []
        for grad, param, slots in tensors:
            new_slots.append(self.accumulate(theta, grad, slots))
            entries.append(self.entries(grad, param, new_slots[-1]))
        places = segments.best([param.shape[0] for _, param, _ in tensors])
        joined = {k: places.join([e[k] for e in entries]) for k in entries[0]}
        delta = self._delta(theta, joined, signals, places)
        return list(zip(places.split(delta), new_slots, strict=True))

    def _delta(self, theta, entries, signals, places=None):
        time = progress.time_embed_tanh(signals["step"])
        return normalized_perceptron(
            theta, self.features, entries, time, self._delta_of, places
        )

    def _delta_of(self, outputs):
        step = layers.step_of(outputs, self.exp_mult)
        return -step * self.step_mult


def _worth_joining(params):
    """Indices of the tensors that are joined."""
    sizes = {
        i: param.shape[0] for i, param in enumerate(params) if _is_small(param)
    }
    if len(sizes) < FEWEST_JOINED:
        sizes = {i: size for i, size in sizes.items() if size < FEW_ENTRIES}
    return list(sizes) if len(sizes) > 1 else []


def _is_small(param):
    return len(param.shape) == 1 and 0 < param.shape[0] <= LARGEST_JOINED

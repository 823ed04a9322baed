"""scale_free: a gated mixture of momenta whose step has no unit of its own.

Ours, in the line of the learned optimizers of Metz et al. 2022 (arXiv
2203.11860), Celo (Moudgil et al. 2025, arXiv 2501.12670) and Celo2 (arXiv
2602.19142), from which normalised directions and a network for the step sizes
are. Multiply the loss by a constant, or the parameters of a tensor, and it does
the same.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.checks import check_number, check_numbers
from keras_lopt.rules import networks, progress
from keras_lopt.rules.accumulators import inverse_root, moving_averages
from keras_lopt.rules.base import Rule
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_flags,
    check_positive,
)
from keras_lopt.rules.registry import register

#: Added to squares, so that nothing is divided by 0: gradients of an RMS of
#: less than 1e-15 are none.
TINY = 1e-30
#: Entries of the gradient beyond it count as 0, as those that are not finite:
#: their squares could not be added up.
LARGEST_GRADIENT = 1e15
#: Added to a second moment, in units of its mean over the tensor.
EPSILON = 1e-8
#: Bound of the normalised odd features.
CLIP = 10.0
#: Kinds of tensors: scalars and vectors, matrices, and what has more axes.
NUM_KINDS = 3
#: Later than this, in units of the horizon, is as at this.
LAST_FRACTION = 1.1
#: Before its first step, a tensor's first RMS and first loss.
NOT_SEEN = -1.0
#: Decay of the running mean of the training loss.
LOSS_DECAY = 0.9


@register("scale_free")
@dataclasses.dataclass(frozen=True)
class ScaleFreeRule(Rule):
    """A gate for each odd feature of an entry, a step size for each tensor.

        delta = -step_mult * exp(exp_mult * out) * scale * direction

    The direction is the sum of the odd features times their gates, divided by
    its RMS over the tensor. Odd features are the gradient, momenta and the
    parameter, each divided by its RMS. The gates are an MLP's (ReLU) on even
    features and the time, so that the direction for the opposite gradient and
    parameter is the opposite one. `out` is that of another MLP (tanh), on the
    time and on features of the tensor. `scale` is RMS_first^(1-a) *
    RMS_now^a of the tensor, with an `a` and a least RMS that are learned for
    each kind of tensor.

    With a horizon the rule plans; without one (no signal, or one that is not
    above 0) it does not know it, which it is to be trained for. A tensor that
    has had no gradient but zeros stays as it is.

    Args:
        hidden_units: Width of the hidden layer that gates are computed from.
        step_hidden_units: Width of that of the step sizes.
        step_mult: Step in units of the scale, where `out` is 0.
        exp_mult: Factor on `out`.
        momentum_decays: Three decays, from short to long.
        second_moment_decays: Two, from short to long.
        floors: Least RMS of vectors, matrices and tensors of more axes at the
            start of the training of theta, in units of the parameter.
        is_odd: False: the MLP sees odd and even features, and its output is
            the direction.
        first_scale: False: `scale` is today's RMS.
        done_features: Whether `out` depends on the gradient's RMS in units of
            its largest one, and on the RMS of the parameter in units of its
            first one.
        loss_features: Whether `out` depends on the training loss in units of
            its first and of its least value; the signal is required then. A
            loss that is not positive is passed over.
        pull: Whether another output of the step sizes' MLP pulls parameters
            towards their first RMS.
        gates_see_tensor: Whether the gates depend on the features of the
            tensor too.
        shared_controller: Whether all tensors have the same `out`, from the
            means of their features.
    """

    hidden_units: int = 8
    step_hidden_units: int = 8
    step_mult: float = 0.01
    exp_mult: float = 2.0
    momentum_decays: tuple[float, ...] = (0.9, 0.99, 0.999)
    second_moment_decays: tuple[float, ...] = (0.95, 0.999)
    floors: tuple[float, ...] = (0.1, 0.1, 0.1)
    is_odd: bool = True
    first_scale: bool = True
    done_features: bool = True
    loss_features: bool = False
    pull: bool = False
    gates_see_tensor: bool = False
    shared_controller: bool = False

    optional_signals: ClassVar[tuple[str, ...]] = ("horizon",)

    def __post_init__(self):
        check_counts(self, "hidden_units", "step_hidden_units")
        check_positive(self, "step_mult")
        check_number("exp_mult", self.exp_mult, "[0, inf)")
        check_numbers("momentum_decays", self.momentum_decays, "[0, 1)", 3)
        check_numbers(
            "second_moment_decays", self.second_moment_decays, "[0, 1)", 2
        )
        check_numbers("floors", self.floors, "(0, inf)", NUM_KINDS)
        check_flags(
            self,
            "is_odd",
            "first_scale",
            "done_features",
            "loss_features",
            "pull",
            "gates_see_tensor",
            "shared_controller",
        )
        for field in ("momentum_decays", "second_moment_decays", "floors"):
            # From JSON they come as lists.
            object.__setattr__(self, field, tuple(getattr(self, field)))

    @property
    def required_signals(self):
        return ("step", "train_loss") if self.loss_features else ("step",)

    # Theta.

    @property
    def _counts(self):
        """Numbers of odd features, of even ones, and of a tensor's."""
        one = ops.ones((1,), dtype="float32")
        entries = {
            "grad": one,
            "param": one,
            "momenta": [one] * len(self.momentum_decays),
            "second_moments": [one] * len(self.second_moment_decays),
        }
        odd = _odd_features(entries)
        tensor = NUM_STATISTICS + 2 * self.done_features
        return len(odd), len(odd) + 1, tensor + 2 * self.loss_features

    @property
    def _sizes(self):
        """Of the layers of both MLPs."""
        odd, even, tensor = self._counts
        inputs = even + NUM_TIMES + tensor * self.gates_see_tensor
        gates = [inputs + odd * (not self.is_odd), self.hidden_units]
        step = [NUM_TIMES + tensor, self.step_hidden_units]
        outputs = odd if self.is_odd else 1
        return [*gates, outputs], [*step, 1 + self.pull]

    def theta_shapes(self):
        gates, step = self._sizes
        step = networks.mlp_shapes(step)
        return {
            **networks.mlp_shapes(gates),
            **{f"step_{leaf}": shape for leaf, shape in step.items()},
            "floors": (NUM_KINDS,),
            "exponents": (NUM_KINDS,),
        }

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        gates, step = self._sizes
        theta = networks.init_mlp(rng, gates)
        # So that gates are more than what the features make of them.
        shape = theta["b1"].shape
        theta["b1"] = 0.5 * networks.truncated_normal(rng, shape)
        theta["b1"] = theta["b1"].astype(np.float32)
        step = networks.init_mlp(rng, step)
        theta |= {f"step_{leaf}": value for leaf, value in step.items()}
        zeros = np.zeros(NUM_KINDS, np.float32)
        return theta | {"floors": zeros, "exponents": zeros.copy()}

    # Slots.

    def init_slots(self, theta, params):
        del theta
        sizes = [math.prod(param.shape) for param in params]
        return {
            "entries": [
                {
                    "momenta": _zeros(len(self.momentum_decays), size),
                    "second_moments": _zeros(
                        len(self.second_moment_decays), size
                    ),
                }
                for size in sizes
            ],
            "tensors": self._init_tensor_slots(len(sizes)),
        }

    def _init_tensor_slots(self, count):
        """What is remembered of each tensor, and of the loss."""
        slots = {
            "mean_squares": _zeros(len(self.second_moment_decays), count),
            "first_rms": NOT_SEEN + _zeros(count),
            "largest_square": _zeros(count),
        }
        if self.loss_features:
            slots["loss"] = {
                "count": _zeros(),
                "mean": _zeros(),
                "first": _zeros(),
                "least": _zeros(),
            }
        return slots

    # One step.

    def update(self, theta, grads, params, slots, signals):
        self.check_signals(signals)
        if not params:
            return [], slots
        count = ops.cast(signals["step"], "float32") + 1.0
        corrections = [
            _correction(decay, count) for decay in self.second_moment_decays
        ]
        shapes = [tuple(param.shape) for param in params]
        grads = [_flat(grad) for grad in grads]
        grads = [_finite(grad) for grad in grads]
        params = [_flat(param) for param in params]
        new = [
            self._accumulated(grad, tensor)
            for grad, tensor in zip(grads, slots["entries"], strict=True)
        ]
        entries = [
            {"grad": grad, "param": param, **tensor}
            for grad, param, tensor in zip(grads, params, new)
        ]
        tensors, sums = slots["tensors"], {}
        squares = ops.stack([_mean(grad * grad) for grad in grads])  # [t]
        mean_squares = moving_averages(
            self.second_moment_decays, tensors["mean_squares"], squares
        )
        epsilons = EPSILON * mean_squares + TINY  # [2, t]
        odd = []
        for i, entry in enumerate(entries):
            entry["second_moments"] = [
                v + epsilons[j, i]
                for j, v in enumerate(ops.unstack(entry["second_moments"]))
            ]
            entry["momenta"] = ops.unstack(entry["momenta"])
            odd.append([_normalized(o) for o in _odd_features(entry)])
        sums = {
            "grad": squares,
            "param": ops.stack([_mean(p * p) for p in params]),
            "momenta": ops.stack(
                [
                    ops.stack([_mean(e["momenta"][k] ** 2) for e in entries])
                    for k in range(len(self.momentum_decays))
                ]
            ),
            "product": ops.stack(
                [_mean(e["grad"] * e["momenta"][1]) for e in entries]
            ),
        }
        tensors, features, scales = self._tensor_features(
            theta, shapes, tensors, mean_squares, sums, count, signals
        )
        times = _time_features(signals)
        steps, pulls = self._steps(theta, times, features, scales)
        shift = 0.5 * ops.log(corrections[1] / corrections[0])
        deltas = []
        for i, entry in enumerate(entries):
            context = times
            if self.gates_see_tensor:
                context = ops.concatenate([times, features[i]])
            short, long = entry["second_moments"]
            ratio = 0.5 * ops.log(short / long) + shift
            direction = self._direction(theta, odd[i], ratio, context)
            norm = inverse_root(_mean(direction * direction) + TINY)
            delta = -(steps[i] * norm) * direction - pulls[i] * params[i]
            deltas.append(ops.reshape(delta, shapes[i]))
        return deltas, {"entries": new, "tensors": tensors}

    def _accumulated(self, grad, slots):
        return {
            "momenta": moving_averages(
                self.momentum_decays, slots["momenta"], grad
            ),
            "second_moments": moving_averages(
                self.second_moment_decays, slots["second_moments"], grad * grad
            ),
        }

    def _tensor_features(
        self, theta, shapes, slots, mean_squares, means, count, signals
    ):
        """New slots, features [t, f] and scales (first, now) of t tensors."""
        kinds = [_kind(shape) for shape in shapes]
        param = ops.sqrt(means["param"])
        first = ops.where(slots["first_rms"] < 0.0, param, slots["first_rms"])
        floors = ops.convert_to_tensor(self.floors, "float32")
        floors = ops.take(floors * ops.exp(2.0 * theta["floors"]), kinds)
        a = ops.sigmoid(4.0 * theta["exponents"] - 3.0)
        a = ops.take(a, kinds)
        growth = ops.log(ops.maximum(param, floors))
        growth = growth - ops.log(ops.maximum(first, floors))
        if self.first_scale:
            scale = ops.maximum(first, floors) * ops.exp(a * growth)
        else:
            scale = ops.maximum(param, floors)
        short, long = (
            mean_squares[i] / _correction(decay, count)
            for i, decay in enumerate(self.second_moment_decays)
        )
        largest = ops.maximum(slots["largest_square"], short)
        features = [
            0.25 * _log_ratio(means["momenta"][i] / _square_of(c), long)
            for i, c in enumerate(
                _correction(decay, count) for decay in self.momentum_decays
            )
        ]
        cosine = means["product"]
        for square in (means["grad"], means["momenta"][1]):
            cosine = cosine * inverse_root(square + TINY)
        features.append(cosine)
        features.append(0.25 * _log_ratio(short, long))
        one_hot = np.eye(NUM_KINDS, dtype=np.float32)[kinds].T
        features += [ops.convert_to_tensor(row) for row in one_hot]
        sizes = [max(1, math.prod(shape)) for shape in shapes]
        logs = (np.log(sizes) / 6.0 - 1.0).astype(np.float32)
        features.append(ops.convert_to_tensor(logs))
        if self.done_features:
            features += [0.25 * _log_ratio(short, largest), growth]
        slots = {
            **slots,
            "mean_squares": mean_squares,
            "first_rms": first,
            "largest_square": largest,
        }
        if self.loss_features:
            slots["loss"], loss = _loss_features(
                slots["loss"], signals["train_loss"]
            )
            features += [ops.broadcast_to(f, param.shape) for f in loss]
        features = ops.stack(features, axis=1)
        is_moved = ops.cast(long > TINY, "float32")
        return slots, features, (scale * is_moved, growth * is_moved)

    def _steps(self, theta, times, features, scales):
        """Lists of step sizes and of pulls, of the tensors."""
        scale, growth = scales
        count = features.shape[0]
        if self.shared_controller:
            features = ops.mean(features, axis=0, keepdims=True)
            features = ops.tile(features, (count, 1))
        times = ops.tile(times[None], (count, 1))
        inputs = ops.concatenate([times, features], axis=1)
        hidden = ops.matmul(inputs, theta["step_w0"]) + theta["step_b0"]
        out = ops.matmul(ops.tanh(hidden), theta["step_w1"]) + theta["step_b1"]
        sizes = self.step_mult * ops.exp(self.exp_mult * out)
        pulls = ops.zeros_like(scale)
        if self.pull:
            pulls = ops.clip(growth, -1.0, 1.0) * sizes[:, 1]
        return sizes[:, 0] * scale, pulls

    def _direction(self, theta, odd, ratio, context):
        even = [_squashed(o) for o in odd] + [ratio]
        layers = [
            networks.first_layer(theta, context),
            *networks.layers_from(theta, 1),
        ]
        if not self.is_odd:
            return networks.perceptron(layers, [*odd, *even])[0]
        gates = networks.perceptron(layers, even)
        gates = gates if isinstance(gates, list) else ops.unstack(gates)
        return sum(gate * o for gate, o in zip(gates, odd))


# Entries.


def _odd_features(entries):
    """Before normalisation: a list of tensors."""
    grad, (short, middle, long) = entries["grad"], entries["momenta"]
    fast, slow = (inverse_root(v) for v in entries["second_moments"])
    return [
        grad * fast,
        short * fast,
        short * slow,
        middle * slow,
        long * slow,
        grad,
        short,
        middle,
        entries["param"],
    ]


def _normalized(x):
    return ops.clip(x * inverse_root(_mean(x * x) + TINY), -CLIP, CLIP)


def _squashed(x):
    square = x * x
    return square / (1.0 + square)


def _flat(x):
    return ops.reshape(ops.cast(x, "float32"), (-1,))


def _finite(grad):
    """The gradient with zeros for what is not finite, or too large."""
    is_finite = ops.abs(grad) <= LARGEST_GRADIENT  # Not so for NaN.
    return ops.where(is_finite, grad, ops.zeros_like(grad))


# Tensors.


#: Signal to noise of three momenta, a cosine, a ratio, a kind and a size.
NUM_STATISTICS = 3 + 2 + NUM_KINDS + 1
#: Fractions of the horizon, whether there is one, its logarithm and the step's.
NUM_TIMES = len(progress.FRACTIONS) + 3


def _time_features(signals):
    """How far the training is. [12]; without a horizon all but one are 0."""
    step = ops.cast(signals["step"], "float32")
    horizon = signals.get("horizon")
    horizon = ops.cast(0.0 if horizon is None else horizon, "float32")
    is_known = horizon > 0.0  # Not so for NaN.
    horizon = ops.where(is_known, horizon, ops.ones_like(horizon))
    fraction = ops.minimum(step / horizon, LAST_FRACTION)
    features = [
        progress.fraction_features(fraction, 1.0),
        ops.ones((1,), dtype="float32"),
        ops.reshape(ops.log(horizon) / 3.0 - 2.0, (1,)),
    ]
    features = ops.concatenate(features)
    features = ops.where(is_known, features, ops.zeros_like(features))
    log_step = ops.reshape(ops.log(1.0 + step) / 5.0 - 1.0, (1,))
    return ops.concatenate([features, log_step])


def _loss_features(slots, loss):
    """New slots, and logs of the loss in units of its first and least one."""
    zero = ops.zeros((), dtype="float32")
    loss = ops.cast(loss, "float32")
    is_one = ops.logical_and(loss > TINY, loss < 1.0 / TINY)
    count = slots["count"] + ops.cast(is_one, "float32")
    mean = LOSS_DECAY * slots["mean"] + (1.0 - LOSS_DECAY) * loss
    mean = ops.where(is_one, mean, slots["mean"])
    now = mean / _correction(LOSS_DECAY, ops.maximum(count, 1.0))
    is_first = slots["count"] < 1.0
    first = ops.where(is_first, now, slots["first"])
    least = ops.where(is_first, now, ops.minimum(slots["least"], now))
    features = [0.25 * _log_ratio(now, first), 0.25 * _log_ratio(now, least)]
    features = [ops.where(count < 1.0, zero, feature) for feature in features]
    new = {"count": count, "mean": mean, "first": first, "least": least}
    return new, features


def _log_ratio(x, y):
    """log(x / y), in [-16, 16]."""
    return ops.clip(ops.log((x + TINY) / (y + TINY)), -16.0, 16.0)


def _correction(decay, count):
    """1 - decay^count: what a running mean that started at 0 has of a mean."""
    if not decay:
        return ops.ones_like(count)
    return -ops.expm1(math.log(decay) * count)


def _square_of(x):
    return x * x


def _kind(shape):
    """Index of the kind of tensor: by the number of its axes."""
    return min(max(len(shape), 1), NUM_KINDS) - 1


def _mean(x):
    """Of a vector; 0 of an empty one."""
    size = x.shape[0]
    ones = ops.ones((size, 1), dtype="float32")
    return ops.reshape(ops.matmul(x[None], ones), ()) / max(size, 1)


def _zeros(*shape):
    return ops.zeros(shape, dtype="float32")

"""scale_free: a gated mixture of momenta whose step has no unit of its own.

Ours, in the line of the learned optimizers of Metz et al. 2022 (arXiv
2203.11860), Celo (Moudgil et al. 2025, arXiv 2501.12670) and Celo2 (arXiv
2602.19142), from which normalised directions, a network for the step sizes and
orthogonal matrices are. Multiply the loss by a constant, or the parameters of a
tensor, and it does the same.
"""

import dataclasses
import functools
import math
from typing import ClassVar, NamedTuple

import numpy as np
from keras import ops

from keras_lopt.checks import check_integer, check_number, check_numbers
from keras_lopt.rules.base import Rule
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_flags,
    check_positive,
)
from keras_lopt.rules.memory import progress
from keras_lopt.rules.memory.accumulators import inverse_root, moving_averages
from keras_lopt.rules.networks import layers, orthogonal, tensor_rows
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
#: Later than this, in units of the horizon, is as at this.
LAST_FRACTION = 1.1
#: The first RMS of a tensor before its first step.
NOT_SEEN = -1.0
#: Decay of the running mean of the training loss.
LOSS_DECAY = 0.9
#: Decays of a tensor's memory; with more of it, they repeat.
MEMORY_DECAYS = (0.9, 0.97, 0.99)
#: Of Newton-Schulz. With five, which Muon has, nothing was better.
ITERATIONS = 3
#: Odd features of an entry.
NUM_ODD = 9
#: Kinds of tensors: scalars and vectors, matrices, and what has more axes.
NUM_KINDS = 3
#: Inputs of a layer up to which it counts as narrow.
NARROW = 24.0
#: The largest floor of a table of embeddings.
LARGEST_FLOOR = 1.0
#: Inputs per output from which on a matrix may be a table of embeddings.
TALL = 4.0
#: Growth of parameters from which on they decay no faster, a logarithm.
MOST_GROWTH = 3.0
#: Matrices of a shallow model.
SHALLOW = 3.0
#: Features of a tensor that there always are: signal to noise of three momenta,
#: a cosine, a ratio, the kind, the size, and the part that has a gradient.
NUM_OF_TENSOR = 3 + 2 + NUM_KINDS + 2
#: More of them with `model_features`: the inputs of a layer, and the number of
#: the model's tensors and of its parameters.
NUM_OF_MODEL = 3
#: The least such part: less looks like this.
LEAST_ACTIVE = 1e-3
#: Fractions of the horizon, whether there is one, its logarithm and the step's.
NUM_TIMES = len(progress.FRACTIONS) + 3

#: Longer trainings look like ones of so many steps, but for how far they are.
#: Beyond what it was trained on, a network's output for log T means nothing:
#: told 5,000 after training on up to 1,000, weights grew 50-fold; told 1,000
#: and run for 5,000, 4 to 13-fold, at a loss near 0.
LONGEST = 2000.0


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
    RMS_now^a of the parameter, with an `a` and a least RMS that are learned
    for each kind of tensor; the first RMS is remembered. With today's alone,
    steps along noise would make parameters grow exponentially.

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
        model_features: Whether `out` depends on the number of inputs, on the
            model's numbers of tensors and of parameters, and on means of all
            its tensors' features too: models of many layers need shorter
            steps than those of one.
        step_memory: Numbers that each tensor remembers for its step size, as
            the recurrent networks of VeLO [Metz et al. 2022, arXiv 2211.09760]
            and Celo do: running means of more outputs (tanh) of the step
            sizes' MLP, which are features of the tensor at its next step. What
            one step says of whether steps are too long is mostly noise.
        loss_features: Whether `out` depends on the training loss in units of
            its first and of its least value; the signal is required then. A
            loss that is not positive is passed over.
        pull: Whether another output of the step sizes' MLP pulls parameters
            towards their first RMS.
        growth_decay: Tensors that have grown decay, at every step by
            growth_decay * step_mult * exp(exp_mult * out) * log(RMS of the
            parameter / its first one) * sqrt(RMS of the gradient / its largest
            RMS so far) of themselves. Large weights learn few data by heart.
        gates_see_tensor: Whether the gates depend on the features of the
            tensor too.
        shared_controller: Whether all tensors have the same `out`, from the
            means of their features.
        by_horizon: Whether theta has two sets of numbers, leaves [2, ...]: one
            for trainings whose horizon is known, one for all others.
        width_exponent: Steps of matrices, and of tensors of more axes, with
            more than 24 active inputs are shorter by
            (active inputs / 24)^-width_exponent. An entry's step changes an
            output by as much as there are inputs, and parameters are smaller
            by their root: with 0.5, outputs change as in a narrow layer
            [Yang et al. 2021, arXiv 2203.03466]. Of the inputs those count
            that there is a gradient for: few rows of an embedding, and few
            pixels of a handwritten digit.
        depth_exponent: Steps are shorter by (matrices / 3)^-depth_exponent in
            models with more than three matrices, or tensors of more axes: what
            they change of an output adds up.
        settled_exponent: Steps are shorter by (RMS of the gradient / its
            largest RMS so far)^(settled_exponent * noise^2), where `noise` is 0
            if gradients keep their direction and 1 if they are noise alone.
            Without it steps go on along noise, once the data are fitted.
        is_orthogonal: Whether the direction of a matrix is the orthogonal
            matrix nearest to it, before it is divided by its RMS: see
            `networks.orthogonal`. Tensors of more axes count as matrices.
        lookup_floor: Another least RMS, at most 1, of tables that batches look
            up few rows of: in units of (share of rows without a gradient)^4 /
            sqrt(number of rows with one). Tables are matrices with at least
            four inputs per output. Keras's embeddings start at an RMS of 0.03,
            far from what they become.
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
    model_features: bool = False
    step_memory: int = 0
    loss_features: bool = False
    pull: bool = False
    growth_decay: float = 0.0
    gates_see_tensor: bool = False
    shared_controller: bool = False
    by_horizon: bool = False
    width_exponent: float = 0.0
    depth_exponent: float = 0.0
    settled_exponent: float = 0.0
    is_orthogonal: bool = False
    lookup_floor: float = 0.0

    optional_signals: ClassVar[tuple[str, ...]] = ("horizon",)

    def __post_init__(self):
        check_counts(self, "hidden_units", "step_hidden_units")
        check_integer("step_memory", self.step_memory, 0)
        check_positive(self, "step_mult")
        check_number("exp_mult", self.exp_mult, "[0, inf)")
        check_number("growth_decay", self.growth_decay, "[0, inf)")
        check_number("width_exponent", self.width_exponent, "[0, 1]")
        check_number("depth_exponent", self.depth_exponent, "[0, 1]")
        check_number("settled_exponent", self.settled_exponent, "[0, 1]")
        check_number("lookup_floor", self.lookup_floor, "[0, inf)")
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
            "model_features",
            "loss_features",
            "pull",
            "gates_see_tensor",
            "shared_controller",
            "by_horizon",
            "is_orthogonal",
        )
        for field in ("momentum_decays", "second_moment_decays", "floors"):
            # From JSON they come as lists.
            object.__setattr__(self, field, tuple(getattr(self, field)))

    @property
    def required_signals(self):
        return ("step", "train_loss") if self.loss_features else ("step",)

    # Theta.

    @property
    def _sizes(self):
        """Of the layers of both MLPs, that of the gates and of the step."""
        tensor = NUM_OF_TENSOR + self.step_memory
        tensor += 2 * self.done_features + 2 * self.loss_features
        context = NUM_TIMES + tensor * self.gates_see_tensor
        if self.is_odd:
            gates = [NUM_ODD + 1 + context, self.hidden_units, NUM_ODD]
        else:
            gates = [2 * NUM_ODD + 1 + context, self.hidden_units, 1]
        inputs = NUM_TIMES + tensor
        if self.model_features:
            inputs += NUM_OF_MODEL + tensor
        outputs = 1 + self.pull + self.step_memory
        step = [inputs, self.step_hidden_units, outputs]
        return gates, step

    def theta_shapes(self):
        gates, step = self._sizes
        step = layers.mlp_shapes(step)
        shapes = {
            **layers.mlp_shapes(gates),
            **{f"step_{leaf}": shape for leaf, shape in step.items()},
            "floors": (NUM_KINDS,),
            "exponents": (NUM_KINDS,),
        }
        if self.by_horizon:
            return {leaf: (2, *shape) for leaf, shape in shapes.items()}
        return shapes

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        if not self.by_horizon:
            return self._init_set(rng)
        known, unknown = self._init_set(rng), self._init_set(rng)
        return {leaf: np.stack([known[leaf], unknown[leaf]]) for leaf in known}

    def _init_set(self, rng):
        gates, step = self._sizes
        theta = layers.init_mlp(rng, gates)
        # So that gates are more than what the features make of them.
        shape = theta["b1"].shape
        theta["b1"] = 0.5 * layers.truncated_normal(rng, shape)
        theta["b1"] = theta["b1"].astype(np.float32)
        step = layers.init_mlp(rng, step)
        theta |= {f"step_{leaf}": value for leaf, value in step.items()}
        zeros = np.zeros(NUM_KINDS, np.float32)
        return theta | {"floors": zeros, "exponents": zeros.copy()}

    # Slots.

    def init_slots(self, theta, params):
        del theta
        count = len(params)
        entries = []
        for _, rows in _plan(params):
            shape = (rows.height, rows.width)
            entries.append(
                {
                    "momenta": _zeros(len(self.momentum_decays), *shape),
                    "second_moments": _zeros(
                        len(self.second_moment_decays), *shape
                    ),
                }
            )
        slots = {
            "entries": entries,
            "mean_squares": _zeros(len(self.second_moment_decays), count),
            "largest_square": _zeros(count),
            "active": _zeros(1, count),
            "first_rms": NOT_SEEN + _zeros(count),
        }
        if self.lookup_floor:
            slots["active_rows"] = _zeros(1, count)
        if self.step_memory:
            slots["memory"] = _zeros(count, self.step_memory)
        if self.loss_features:
            leaves = ("count", "mean", "first", "least")
            slots["loss"] = {leaf: _zeros() for leaf in leaves}
        return slots

    # One step.

    def update(self, theta, grads, params, slots, signals):
        self.check_signals(signals)
        if not params:
            return [], slots
        if self.by_horizon:
            is_known = _is_known(signals)
            theta = {
                leaf: ops.where(is_known, both[0], both[1])
                for leaf, both in theta.items()
            }
        groups = self._groups(grads, params, slots)
        means = _in_order(
            groups, [group.means(_averaged, group.entries) for group in groups]
        )
        new, features, scale, growth, decay = self._of_tensors(
            theta, grads, params, slots, means, signals
        )
        times = _time_features(signals)
        step_features = features
        if self.model_features:
            step_features = _beside_model(params, features)
        out = self._controls(theta, times, step_features)
        steps, pulls = self._steps(out, scale, growth, decay)
        if self.step_memory:
            new["memory"] = _remembered(
                slots["memory"], out[:, -self.step_memory :]
            )
        factors = inverse_root(means[-NUM_ODD:] + TINY)
        if self.gates_see_tensor:
            times = _beside(times, features)
        deltas = [None] * len(params)
        for group in groups:
            direction_of = functools.partial(
                self._direction, theta, group, factors, times, signals
            )
            if self.is_orthogonal:
                direction = _computed_once(
                    direction_of, group.rows, ops.any(steps > 0.0)
                )
                direction = _orthogonalized(direction, group, params)
            else:
                direction = direction_of()
            squares = group.means(_squares, {"direction": direction[None]})
            step = group.of(steps) * inverse_root(squares + TINY)  # [1, t]
            delta = -group.rows.spread(step)[0] * direction
            if self.pull or self.growth_decay:
                pull = group.spread(pulls)[0]
                delta = delta - pull * group.entries["param"][0]
            parts = group.rows.split(delta)
            for i, part in zip(group.numbers, parts, strict=True):
                deltas[i] = ops.reshape(part, params[i].shape)
        new["entries"] = [
            {k: group.entries[k] for k in ("momenta", "second_moments")}
            for group in groups
        ]
        return deltas, new

    def _groups(self, grads, params, slots):
        """List of `_Group`, with new accumulators."""
        epsilons = EPSILON * slots["mean_squares"] + TINY  # [2, t]
        groups = []
        for (numbers, rows), entries in zip(
            _plan(params), slots["entries"], strict=True
        ):
            grad, param = (
                rows.join([_flat(tensors[i]) for i in numbers])
                for tensors in (grads, params)
            )
            finite = _finite(grad)
            entries = {
                "grad": grad[None],
                "param": param[None],
                "momenta": moving_averages(
                    self.momentum_decays, entries["momenta"], finite
                ),
                "second_moments": moving_averages(
                    self.second_moment_decays,
                    entries["second_moments"],
                    finite * finite,
                ),
            }
            group = _Group(numbers, rows, entries)
            entries["epsilons"] = group.spread(epsilons)
            groups.append(group)
        return groups

    def _of_tensors(self, theta, grads, params, slots, means, signals):
        """What there is one of a tensor, from `means` of `_averaged`.

        Returns:
            New slots but `entries`; features [t, f]; scale, growth and decay
            [t].
        """
        active, product, long_momentum = ops.unstack(means[:-NUM_ODD])
        square, short_momentum, momentum, param = ops.unstack(means[-4:])
        count = ops.cast(signals["step"], "float32") + 1.0
        mean_squares = moving_averages(
            self.second_moment_decays, slots["mean_squares"], square
        )
        short, long = (
            mean / _correction(decay, count)
            for mean, decay in zip(
                ops.unstack(mean_squares), self.second_moment_decays
            )
        )
        rms, first = ops.sqrt(param), slots["first_rms"]
        first = ops.where(first < 0.0, rms, first)
        new = {
            "mean_squares": mean_squares,
            "largest_square": ops.maximum(slots["largest_square"], short),
            "active": moving_averages(
                self.second_moment_decays[:1], slots["active"], active
            ),
            "first_rms": first,
        }
        correction = _correction(self.second_moment_decays[0], count)
        active = new["active"][0] / correction
        kinds = [_kind(p.shape) for p in params]
        floors = self._floors(theta, kinds)
        if self.lookup_floor:
            new["active_rows"] = moving_averages(
                self.second_moment_decays[:1],
                slots["active_rows"],
                _active_rows(grads),
            )
            rows = new["active_rows"][0] / correction
            tables = _natural_rms_of_tables(params, rows)
            tables = ops.minimum(self.lookup_floor * tables, LARGEST_FLOOR)
            floors = ops.maximum(floors, tables)
        scale, growth = self._scales(theta, kinds, floors, first, rms)
        if self.width_exponent:
            scale = scale * _width_factors(params, active, self.width_exponent)
        if self.depth_exponent:
            matrices = sum(len(p.shape) > 1 for p in params)
            matrices = max(matrices, SHALLOW)
            scale = scale * (matrices / SHALLOW) ** -self.depth_exponent
        settled = (short + TINY) / (new["largest_square"] + TINY)
        decay = self.growth_decay * ops.clip(growth, 0.0, MOST_GROWTH)
        decay = decay * settled**0.25
        if self.settled_exponent:
            momentum_part = _correction(self.momentum_decays[0], count)
            signal = short_momentum / momentum_part**2 / (short + TINY)
            noise = _noisiness(signal, self.momentum_decays[0])
            scale = scale * settled ** (0.5 * self.settled_exponent * noise**2)
        active = ops.log(ops.maximum(active, LEAST_ACTIVE))
        momenta = (short_momentum, momentum, long_momentum)
        features = [
            0.25 * _log_ratio(mean, _correction(decay, count) ** 2 * long)
            for mean, decay in zip(momenta, self.momentum_decays)
        ]
        cosine = product * inverse_root(square + TINY)
        features.append(cosine * inverse_root(momentum + TINY))
        features.append(0.25 * _log_ratio(short, long))
        features += [*_shape_features(params, kinds), 0.25 * active]
        if self.done_features:
            largest = new["largest_square"]
            features += [0.25 * _log_ratio(short, largest), growth]
        if self.loss_features:
            new["loss"], loss = _loss_features(
                slots["loss"], signals["train_loss"]
            )
            features += [ops.broadcast_to(f, rms.shape) for f in loss]
        if self.step_memory:
            features += ops.unstack(slots["memory"], axis=1)
        is_moved = ops.cast(long > TINY, "float32")
        features = ops.stack(features, axis=1)
        moved = (is_moved * of_one for of_one in (scale, growth, decay))
        return new, features, *moved

    def _floors(self, theta, kinds):
        """The least RMS of each tensor. [t]"""
        floors = ops.exp(2.0 * theta["floors"])
        floors = floors * ops.convert_to_tensor(self.floors, "float32")
        return ops.take(floors, kinds)

    def _scales(self, theta, kinds, floors, first, now):
        """What steps are relative to, and log of now to first RMS. [t]"""
        first, now = ops.maximum(first, floors), ops.maximum(now, floors)
        growth = ops.log(now / first)
        if not self.first_scale:
            return now, growth
        exponents = ops.sigmoid(4.0 * theta["exponents"] - 3.0)
        return first * ops.exp(ops.take(exponents, kinds) * growth), growth

    def _controls(self, theta, times, features):
        """What the step sizes' MLP has for each tensor. [t, outputs]"""
        count = features.shape[0]
        if self.shared_controller:
            features = ops.mean(features, axis=0, keepdims=True)
            features = ops.tile(features, (count, 1))
        inputs = _beside(times, features)
        hidden = ops.matmul(inputs, theta["step_w0"]) + theta["step_b0"]
        return ops.matmul(ops.tanh(hidden), theta["step_w1"]) + theta["step_b1"]

    def _steps(self, out, scale, growth, decay):
        """Sizes of steps, and of the pulls in units of the parameter. [1, t]"""
        out = out[:, : 1 + self.pull]
        sizes = self.step_mult * ops.exp(self.exp_mult * out)  # [t, 1 or 2]
        pulls = decay * sizes[:, 0]
        if self.pull:
            pulls = pulls + ops.clip(growth, -1.0, 1.0) * sizes[:, 1]
        return (scale * sizes[:, 0])[None], pulls[None]

    def _direction(self, theta, group, factors, context, signals):
        """The direction before its normalisation. [height, width]

        Args:
            theta, signals: As of `update`.
            group: `_Group`.
            factors: [9, t], of the odd features.
            context: [c], or [t, c].
        """
        rows = group.rows
        entries = {k: ops.unstack(v) for k, v in group.entries.items()}
        odd = [
            ops.clip(o * factor, -CLIP, CLIP)
            for o, factor in zip(
                _odd_features(entries), ops.unstack(group.spread(factors))
            )
        ]
        inputs = [_squashed(o) for o in odd] + [self._ratio(entries, signals)]
        inputs = inputs if self.is_odd else [*odd, *inputs]
        weights, added = theta["w0"][: len(inputs)], ()
        context = ops.matmul(context, theta["w0"][len(inputs) :])
        if self.gates_see_tensor:
            context = group.spread(ops.transpose(context))
            added = [ops.unstack(context)]
            context = ops.zeros_like(theta["b0"])
        mlp = [(weights, theta["b0"] + context)]
        mlp += layers.layers_from(theta, 1)
        outputs = layers.perceptron(mlp, inputs, added)
        if not isinstance(outputs, list):
            shape = (-1, rows.height, rows.width)
            outputs = ops.unstack(ops.reshape(outputs, shape))
        if self.is_odd:
            direction = sum(gate * o for gate, o in zip(outputs, odd))
        else:
            (direction,) = outputs
            if not rows.is_full:
                direction = direction * rows.mask()
        return direction

    def _ratio(self, entries, signals):
        """log of the roots of both second moments, corrected for the start."""
        count = ops.cast(signals["step"], "float32") + 1.0
        short, long = (
            _correction(decay, count) for decay in self.second_moment_decays
        )
        fast, slow = _second_moments(entries)
        return 0.5 * ops.log(fast / slow * (long / short))


# Entries.


class _Group(NamedTuple):
    """Tensors that lie in the same rows.

    Args:
        numbers: Indices of the tensors.
        rows: Their `tensor_rows.Rows`.
        entries: Dict of [c, height, width], or with 1 for a dimension that
            they are constant over. `epsilons` are added to second moments.
    """

    numbers: tuple
    rows: tensor_rows.Rows
    entries: dict

    def of(self, values):
        """Those of the tensors of the group, from [k, number of tensors]."""
        if self.numbers == tuple(range(values.shape[1])):
            return values
        return ops.take(values, self.numbers, axis=1)

    def spread(self, values):
        """As `of`, [k, height, 1] or [k, 1, 1]."""
        return self.rows.spread(self.of(values))

    def means(self, products_of, entries):
        """Means over each tensor. [number of products, tensors of the group]"""
        sizes = np.maximum(np.float32(self.rows.sizes), 1.0)
        return self.rows.sums(products_of, entries) / sizes


def _plan(params):
    return tensor_rows.plan(tuple(math.prod(p.shape) for p in params))


def _in_order(groups, values):
    """[k, tensors of a group]s -> [k, t], in the order of the tensors."""
    if len(groups) == 1:
        return values[0]
    numbers = [i for group in groups for i in group.numbers]
    values = ops.concatenate(values, axis=1)
    return ops.take(values, np.argsort(numbers), axis=1)


def _computed_once(direction_of, rows, is_needed):
    """`direction_of()`; zeros if it is not needed. [height, width]

    Without a branch, XLA on CPU compiles and computes the direction again for
    each matrix that is cut out of it. `is_needed` must depend on data: XLA
    removes a branch that is always taken.
    """
    shape = (rows.height, rows.width)
    return ops.cond(
        is_needed, direction_of, lambda: ops.zeros(shape, dtype="float32")
    )


def _orthogonalized(direction, group, params):
    """A direction [height, width] of which matrices are orthogonal."""
    parts = group.rows.split(direction)
    sides = [orthogonal.sides(params[i].shape) for i in group.numbers]
    places = [k for k, (m, n) in enumerate(sides) if min(m, n) > 1]
    matrices = orthogonal.orthogonalized_together(
        [ops.reshape(parts[k], sides[k]) for k in places], ITERATIONS
    )
    for k, matrix in zip(places, matrices, strict=True):
        parts[k] = _flat(matrix)
    return group.rows.join(parts)


def _finite(grad):
    """The gradient with zeros for what is not finite, or too large."""
    is_finite = ops.abs(grad) <= LARGEST_GRADIENT  # Not so for NaN.
    return ops.where(is_finite, grad, ops.zeros_like(grad))


def _second_moments(entries):
    pairs = zip(entries["second_moments"], entries["epsilons"], strict=True)
    return [moment + epsilon for moment, epsilon in pairs]


def _odd_features(entries):
    """Before normalisation: 9 tensors, shaped as `entries` has them."""
    short, middle, long = entries["momenta"]
    (grad,), (param,) = entries["grad"], entries["param"]
    grad = _finite(grad)
    fast, slow = (inverse_root(v) for v in _second_moments(entries))
    return [
        grad * fast,
        short * fast,
        short * slow,
        middle * slow,
        long * slow,
        grad,
        short,
        middle,
        param,
    ]


def _averaged(entries):
    """What is averaged over tensors; the last 9 are odd features' squares."""
    _, middle, long = entries["momenta"]
    odd = _odd_features(entries)
    grad = _finite(entries["grad"][0])
    is_active = ops.cast(ops.not_equal(grad, 0.0), "float32")
    return [is_active, grad * middle, long * long, *[o * o for o in odd]]


def _squares(entries):
    return [x * x for x in entries["direction"]]


def _squashed(x):
    """x^2 / (1 + x^2)."""
    # XLA on CPU keeps that fraction in memory, and computes this in one loop
    # with what it is for: 11 and 7 ns per entry.
    return 1.0 - 1.0 / (1.0 + x * x)


def _flat(x):
    return ops.reshape(ops.cast(x, "float32"), (-1,))


# Tensors.


def _shape_features(params, kinds):
    """Lists of [t]: what kind a tensor is of, and its size."""
    one_hot = np.eye(NUM_KINDS, dtype=np.float32)[:, kinds]
    sizes = [max(1, math.prod(param.shape)) for param in params]
    size = np.log(np.float32(sizes)) / 6.0 - 1.0
    return [
        ops.convert_to_tensor(row, dtype="float32") for row in (*one_hot, size)
    ]


def _beside_model(params, features):
    """[t, f] -> [t, f + 3 + f]: with what is known of the whole model."""
    count = len(params)
    sizes = [max(1, math.prod(param.shape)) for param in params]
    inputs = np.log(np.float32([_num_inputs(p) for p in params])) / 3.0 - 1.0
    tensors = np.full(count, math.log(count) / 2.0 - 0.75, np.float32)
    size = np.full(count, math.log(sum(sizes)) / 6.0 - 1.0, np.float32)
    own = np.stack([inputs, tensors, size], axis=1)
    means = ops.mean(features, axis=0, keepdims=True)
    return ops.concatenate(
        [
            features,
            ops.convert_to_tensor(own, dtype="float32"),
            ops.tile(means, (count, 1)),
        ],
        axis=1,
    )


def _num_inputs(param):
    """Inputs of an output of a layer with such a kernel; 1 of a bias."""
    return max(1, math.prod(param.shape[:-1]))


def _width_factors(params, active, exponent):
    """Factors on the steps of tensors with many active inputs. [t]

    Args:
        active: [t], which part of a tensor has a gradient.
    """
    inputs = [_num_inputs(param) for param in params]
    narrow = ops.convert_to_tensor(np.float32(inputs) / NARROW, "float32")
    return ops.maximum(narrow * active, 1.0) ** -exponent


def _is_tall(shape):
    """Whether a tensor may be a table of embeddings."""
    return len(shape) == 2 and shape[0] >= TALL * shape[1]


def _active_rows(grads):
    """Which part of the rows of tall matrices has a gradient. [t]

    All of them, if none has one: that says nothing. Units that are not active,
    as of ReLU, leave columns of zeros instead.
    """
    one = ops.ones((), dtype="float32")
    shares = []
    for grad in grads:
        share = one
        if _is_tall(grad.shape):
            is_active = ops.any(ops.not_equal(grad, 0.0), axis=1)
            share = ops.mean(ops.cast(is_active, "float32"))
            share = ops.where(share > 0.0, share, one)
        shares.append(share)
    return ops.stack(shares)


def _noisiness(signal, decay):
    """From 0 for gradients that do not change to 1 for noise alone.

    Args:
        signal: Mean square of the momentum in units of the second moment.
        decay: That of the momentum.
    """
    least = (1.0 - decay) / (1.0 + decay)  # Of independent gradients.
    return ops.clip((1.0 - signal) / max(1.0 - least, 1e-3), 0.0, 1.0)


def _natural_rms_of_tables(params, rows):
    """The RMS that tables of embeddings tend to; 0 of other tensors. [t]

    Args:
        rows: [t], which part of the rows has a gradient.
    """
    counts = [p.shape[0] if _is_tall(p.shape) else 1 for p in params]
    counts = ops.convert_to_tensor(np.float32(counts), "float32") * rows
    return (1.0 - rows) ** 4 / ops.sqrt(ops.maximum(counts, 1.0))


def _kind(shape):
    return min(max(len(shape), 1), NUM_KINDS) - 1


def _beside(times, features):
    """[c] and [t, f] -> [t, c + f]."""
    times = ops.tile(times[None], (features.shape[0], 1))
    return ops.concatenate([times, features], axis=1)


def _time_features(signals):
    """How far the training is. [12]; without a horizon all but one are 0."""
    step = ops.cast(signals["step"], "float32")
    horizon, is_known = _horizon(signals), _is_known(signals)
    horizon = ops.where(is_known, horizon, ops.ones_like(horizon))
    fraction = ops.minimum(step / horizon, LAST_FRACTION)
    features = [
        progress.fraction_features(fraction, 1.0),
        ops.ones((1,), dtype="float32"),
        ops.reshape(ops.log(ops.minimum(horizon, LONGEST)) / 3.0 - 2.0, (1,)),
    ]
    features = ops.concatenate(features)
    features = ops.where(is_known, features, ops.zeros_like(features))
    step = ops.minimum(step, LONGEST)
    log_step = ops.reshape(ops.log(1.0 + step) / 5.0 - 1.0, (1,))
    return ops.concatenate([features, log_step])


def _horizon(signals):
    horizon = signals.get("horizon")
    return ops.cast(0.0 if horizon is None else horizon, "float32")


def _is_known(signals):
    return _horizon(signals) > 0.0  # Not so for NaN.


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


def _remembered(memory, outputs):
    """The memory [t, k] after outputs [t, k] of the step sizes' MLP."""
    decays = np.resize(np.float32(MEMORY_DECAYS), outputs.shape[1])
    decays = ops.convert_to_tensor(decays, dtype="float32")
    return decays * memory + (1.0 - decays) * ops.tanh(outputs)


def _log_ratio(x, y):
    """log(x / y), in [-16, 16]."""
    return ops.clip(ops.log((x + TINY) / (y + TINY)), -16.0, 16.0)


def _correction(decay, count):
    """1 - decay^count: what a running mean that started at 0 has of a mean."""
    if not decay:
        return ops.ones_like(count)
    return -ops.expm1(math.log(decay) * count)


def _zeros(*shape):
    return ops.zeros(shape, dtype="float32")

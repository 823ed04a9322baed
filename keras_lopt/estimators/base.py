"""The core of all evolution-strategies estimators of the meta-gradient.

g = mean_i (L(theta + sigma e_i) - L(theta - sigma e_i)) xi_i / (2 sigma),
Both sides of a pair have the same problem and random numbers; all members of
the population have the same problems.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import tensorflow as tf

from keras_lopt.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
)
from keras_lopt.estimators.horizons import Horizon, as_horizon
from keras_lopt.estimators.inner_run import (
    LOG_FLOOR,
    OUTER_LOSSES,
    InnerRun,
    InnerState,
    check_mapping,
)

#: Of the running mean square of loss differences, per estimate.
_SQUARES_DECAY = 0.9


class EstimatorState(NamedTuple):
    """What survives between outer steps: p members, n pairs on a replica.

    The clock and the problems are shared by the members, so that a member's
    part can be copied when selection copies the member.
    """

    inner: InnerState  # leaves [p, n, 2, ...]; the sides +, - on axis 2
    noise: tf.Tensor  # [p, n, |theta|], what multiplied the last difference
    seeds: tf.Tensor  # [n, 2] int32, the problems'
    horizons: tf.Tensor  # [n] int32, what the rule is told; 0: nothing
    steps: tf.Tensor  # [n] int32, steps done in the current problem
    ends: tf.Tensor  # [n] int32, step at which the current problem ends
    squares: tf.Tensor  # [p], running mean square of differences; 0: none yet


class Problems(NamedTuple):
    """The problems of an outer step: of n pairs on a replica."""

    seeds: tf.Tensor  # [n, 2] int32
    horizons: tf.Tensor  # [n] int32, as the rule is told
    ends: tf.Tensor  # [n] int32


@dataclasses.dataclass(frozen=True)
class Estimator:
    """Settings of an estimator, and the estimate itself.

    Args:
        pairs: Antithetic pairs per member and outer step, over all replicas.
        horizon: Inner steps of a whole problem: an integer, or a `Horizon`
            that draws one for each problem, such as `LogUniform(100, 2000)`.
        sigma: Scale of the noise, in units of theta.
        outer_split: Data of the outer loss: "train" or "outer_valid".
        clip: Each entry of the meta-gradient is clipped to +-clip; 0.1 in
            arXiv 2009.11243.
        mapping: Of inner runs: "map" or "vectorized", as for `InnerRun`;
            default: "vectorized" on accelerators where the task allows it,
            else "map".
        hidden: Fraction of problems whose horizon the rule is not told.
        outer_loss: "loss", or "log_loss": the log of `log_floor` + the
            normalized loss, which still has a gradient where the loss is below
            1% of chance.
        log_floor: Of "log_loss", in units of the normalized loss.
        log_ceiling: Of "log_loss": larger normalized losses count as this;
            default: the task's ceiling, which is 2 for most. Above it nothing
            tells an optimizer that overfits from one that overfits more.
        end_weight: Share of the weight of losses, from 0 to 1, that is on the
            end of a problem, where the rule is told its horizon: most of it on
            the last tenth. 0 rewards fast progress, more of it what a training
            ends with.
        train_weight: Weight of the training loss in the outer loss; the loss
            on `outer_split` has the rest.
        normalize: Whether loss differences are divided by their own running
            RMS on the task, and clipped to +-difference_clip: then tasks with
            large losses do not drown out the others. The estimate has no unit
            then, and is not divided by 2 sigma.
        difference_clip: Of normalized differences.
    """

    pairs: int
    horizon: int | Horizon
    sigma: float = 0.01
    outer_split: str = "train"
    clip: float = 0.1
    mapping: str | None = None
    hidden: float = 0.0
    outer_loss: str = "loss"
    train_weight: float = 0.0
    normalize: bool = False
    difference_clip: float = 3.0
    log_floor: float = LOG_FLOOR
    log_ceiling: float | None = None
    end_weight: float = 0.0

    name: ClassVar[str] = ""

    def __post_init__(self):
        check_integer("pairs", self.pairs, 1)
        as_horizon(self.horizon)  # Refuses what is none.
        for field in ("sigma", "clip", "difference_clip", "log_floor"):
            check_number(field, getattr(self, field), "(0, inf)")
        if self.mapping is not None:
            check_mapping(self.mapping)
        if self.log_ceiling is not None:
            check_number("log_ceiling", self.log_ceiling, "(0, inf)")
        check_number("hidden", self.hidden, "[0, 1]")
        check_number("train_weight", self.train_weight, "[0, 1]")
        check_number("end_weight", self.end_weight, "[0, 1]")
        check_choice("outer_loss", self.outer_loss, OUTER_LOSSES)
        check_flag("normalize", self.normalize)
        if self.outer_split not in ("train", "outer_valid"):
            raise ValueError(
                '`outer_split` must be "train" or "outer_valid": the other '
                "splits are kept for scoring and evaluation. "
                f"Received: outer_split={self.outer_split!r}"
            )

    @property
    def horizons(self):
        """The `Horizon` that problems' horizons are drawn from."""
        return as_horizon(self.horizon)

    @property
    def steps_per_estimate(self):
        """Inner steps between two meta-gradients."""
        raise NotImplementedError

    def next_noise(self, previous, drawn, is_new):
        """The noise of this outer step.

        Args:
            previous: [p, n, d], the noise of the last difference.
            drawn: [p, n, d], fresh standard normal numbers.
            is_new: [n, 1] bool, where a new problem starts.

        Returns:
            What perturbs theta, and what multiplies the difference.
        """
        raise NotImplementedError

    def next_inner(self, inner):
        """The inner states that the next estimate starts from.

        Args:
            inner: `InnerState` with leaves [p, n, 2, ...] after this estimate.
        """
        return inner

    def check_rule(self, rule):
        """Raises ValueError if horizons vary and `rule` takes no notice."""
        known = rule.required_signals + rule.optional_signals
        if self.horizons.varies and "horizon" not in known:
            raise ValueError(
                "`horizon` must be an integer for a rule that ignores horizons."
                f" Received: horizon={self.horizon!r}, rule {rule.name!r}"
            )
        if self.hidden and "horizon" not in rule.optional_signals:
            raise ValueError(
                "`hidden` must be 0 for a rule that ignores horizons or can't "
                f"do without. Received: hidden={self.hidden}, "
                f"rule {rule.name!r}"
            )

    def inner_run(self, rule, task, on_cpu=True):
        """The inner run that `estimate` needs.

        Args:
            rule: The `rules.Rule` that trains.
            task: The `tasks.Task`.
            on_cpu: Whether it runs on a CPU: one problem at a time stays in
                its cache, but would leave an accelerator idle.
        """
        vectorizes = task.vectorizes and not on_cpu
        return InnerRun(
            rule,
            task,
            self.steps_per_estimate,
            horizon=self.horizons.longest,
            mapping=self.mapping or ("vectorized" if vectorizes else "map"),
            outer_loss=self.outer_loss,
            log_floor=self.log_floor,
            log_ceiling=self.log_ceiling,
            end_weight=self.end_weight,
        )

    def initial_state(self, inner_run, members, pairs, first_pair):
        """The first state of a replica, whose pairs begin at `first_pair`.

        The first problems are cut short by different amounts, so that later
        ones end at different times.
        """
        size = inner_run.theta_vector.size
        blank = inner_run.blank_states(members * pairs * 2)
        pieces = self.horizons.longest // self.steps_per_estimate
        number = first_pair + tf.range(pairs)
        ends = (1 + number * pieces // self.pairs) * self.steps_per_estimate
        return EstimatorState(
            inner=_reshape_lead(blank, 1, [members, pairs, 2]),
            noise=tf.zeros([members, pairs, size]),
            seeds=tf.zeros([pairs, 2], tf.int32),
            horizons=tf.zeros([pairs], tf.int32),
            steps=tf.zeros([pairs], tf.int32),
            ends=tf.cast(ends, tf.int32),
            squares=tf.zeros([members]),
        )

    def draw(
        self,
        state,
        seed,
        first_pair,
        outer_step=0,
        first_member=0,
        members=None,
    ):
        """This outer step's problems and noise, from its seed.

        Args:
            state: `EstimatorState` of this replica.
            seed: [2] int32, of the outer step; the same on all replicas.
            first_pair: int32 scalar, number of this replica's first pair.
            outer_step: int32 scalar, outer steps done so far.
            first_member: int32 scalar, number of this replica's first member.
            members: How many there are on all replicas; default: those of
                `state`.

        Returns:
            `Problems`, and standard normal noise [p, n, d].
        """
        own_members, pairs, size = state.noise.shape
        members = members or own_members
        fold_in = tf.random.experimental.stateless_fold_in
        problem_seed, noise_seed = fold_in(seed, 0), fold_in(seed, 1)
        numbers = first_pair + tf.range(pairs)
        fresh = tf.map_fn(lambda i: fold_in(problem_seed, i), numbers)
        noise = tf.map_fn(
            lambda i: tf.random.stateless_normal(
                [members, size], fold_in(noise_seed, i), alg="philox"
            ),
            numbers,
            fn_output_signature=tf.float32,
        )  # [n, p, d]
        if members != own_members:
            # Drawn for all, so that a member's do not depend on the replicas.
            shape = [pairs, own_members, size]
            noise = tf.slice(noise, [0, first_member, 0], shape)
        is_new = tf.equal(state.steps, 0)
        horizons, told = self._draw_horizons(fresh, outer_step)
        problems = Problems(
            seeds=tf.where(is_new[:, None], fresh, state.seeds),
            horizons=tf.where(is_new, told, state.horizons),
            # The first problems are cut short.
            ends=tf.where(is_new, tf.minimum(horizons, state.ends), state.ends),
        )
        return problems, tf.transpose(noise, [1, 0, 2])

    def _draw_horizons(self, seeds, outer_step):
        """Horizons [n] of new problems, and those that the rule is told."""
        fold_in = tf.random.experimental.stateless_fold_in
        horizons = tf.map_fn(
            lambda seed: self.horizons.sample(
                fold_in(seed, 2), outer_step, self.steps_per_estimate
            ),
            seeds,
            fn_output_signature=tf.int32,
        )
        if not self.hidden:
            return horizons, horizons
        drawn = tf.map_fn(
            lambda seed: tf.random.stateless_uniform(
                (), fold_in(seed, 3), alg="philox"
            ),
            seeds,
            fn_output_signature=tf.float32,
        )
        return horizons, tf.where(drawn < self.hidden, 0, horizons)

    def estimate(
        self,
        inner_run,
        thetas,
        state,
        problems,
        drawn,
        batches,
        mean=None,
        own=None,
    ):
        """One estimate on one replica.

        Args:
            inner_run: From `inner_run(rule, task)`, or what stands in for it
                with a compiled `advance`.
            thetas: [p, d].
            state: `EstimatorState`.
            problems: `Problems` and
            drawn: [p, n, d], both from `draw`.
            batches: From `inner_run.draw_batches(problems.seeds, state.steps,
                outer_split)`.
            mean: Function from a tensor [p, ...] to its mean over the replicas
                that have these members, with all other members' beside it;
                default: there is one replica.
            own: Function that takes this replica's members from that.

        Returns:
            Meta-gradients [p, d] of all replicas' pairs, their mean outer
            losses [p], the new state of this replica.
        """
        mean, own = mean or _same, own or _same
        members, pairs, size = state.noise.shape
        is_new = tf.equal(state.steps, 0)[:, None]
        noise, multiplier = self.next_noise(state.noise, drawn, is_new)
        moved = self.sigma * tf.stack([noise, -noise], axis=2)  # [p, n, 2, d]
        perturbed = thetas[:, None, None] + moved
        numbers = tf.broadcast_to(
            tf.range(pairs)[None, :, None], [members, pairs, 2]
        )
        inner, train_losses, losses = inner_run.advance(
            tf.reshape(perturbed, [-1, size]),
            _reshape_lead(state.inner, 3, [-1]),
            problems.seeds,
            state.steps,
            tf.reshape(numbers, [-1]),
            batches,
            problems.horizons,
        )
        if self.train_weight:
            losses += self.train_weight * (train_losses - losses)
        losses = tf.reshape(losses, [members, pairs, 2])
        squares = state.squares
        if self.normalize:
            new = own(mean(_squares(losses)))
            squares = self._next_squares(squares, new)
        grads = self.combine(losses, multiplier, squares)
        inner = _reshape_lead(inner, 1, [members, pairs, 2])
        steps = state.steps + self.steps_per_estimate
        ended = steps >= problems.ends
        state = EstimatorState(
            inner=self.next_inner(inner),
            noise=multiplier,
            seeds=problems.seeds,
            horizons=problems.horizons,
            steps=tf.where(ended, 0, steps),
            ends=tf.where(ended, self.horizons.longest, problems.ends),
            squares=squares,
        )
        return mean(grads), mean(tf.reduce_mean(losses, axis=[1, 2])), state

    def _next_squares(self, squares, new):
        """The running mean squares [p] after one more estimate's."""
        mixed = _SQUARES_DECAY * squares + (1.0 - _SQUARES_DECAY) * new
        return tf.where(squares > 0.0, mixed, new)

    def combine(self, losses, multiplier, squares=None):
        """Meta-gradients [p, d] from the losses [p, n, 2] of n pairs.

        Losses are finite and bounded: the task sees to that.

        Args:
            losses: [p, n, 2].
            multiplier: [p, n, d], the noise that multiplies differences.
            squares: [p] mean squares of differences, where they are
                normalized.
        """
        difference = losses[:, :, 0] - losses[:, :, 1]  # [p, n]
        if self.normalize:
            scale = tf.math.rsqrt(tf.maximum(squares, 1e-30))[:, None]
            limit = self.difference_clip
            difference = tf.clip_by_value(difference * scale, -limit, limit)
            weight = difference / losses.shape[1]
        else:
            weight = difference / (2.0 * self.sigma * losses.shape[1])
        return tf.einsum("pn,pnd->pd", weight, multiplier)

    def clipped(self, grads):
        """The meta-gradient that a teacher gets: averaged, then clipped.

        In this order, so that it does not depend on the number of replicas.
        """
        return tf.clip_by_value(grads, -self.clip, self.clip)


@dataclasses.dataclass(frozen=True)
class TruncatedEstimator(Estimator):
    """An estimator of truncated runs, whose inner states survive.

    Args:
        truncation: Inner steps between two estimates. Horizons are multiples
            of it, so that problems end between estimates.
        pairs, horizon, sigma, ...: Those of `Estimator`.
    """

    truncation: int = 20

    def __post_init__(self):
        super().__post_init__()
        check_integer("truncation", self.truncation, 1)
        lengths = self.horizons.lengths()
        if any(length % self.truncation for length in lengths.values()):
            names = " and ".join(f"`{name}`" for name in lengths)
            values = ", ".join(f"{k}={v}" for k, v in lengths.items())
            raise ValueError(
                f"`truncation` must divide {names}. Received: "
                f"truncation={self.truncation}, {values}"
            )

    @property
    def steps_per_estimate(self):
        return self.truncation


def _same(tensor):
    return tensor


def _squares(losses):
    """Mean squares [p] of the differences of losses [p, n, 2]."""
    difference = losses[:, :, 0] - losses[:, :, 1]
    return tf.reduce_mean(difference * difference, axis=1)


def _reshape_lead(nest, count, lead):
    """Replaces the first `count` axes of every leaf by the axes `lead`."""
    return tf.nest.map_structure(
        lambda t: tf.reshape(t, [*lead, *t.shape[count:]]), nest
    )

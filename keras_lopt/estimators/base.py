"""The core of all evolution-strategies estimators of the meta-gradient.

g = mean_i (L(theta + sigma e_i) - L(theta - sigma e_i)) xi_i / (2 sigma),
Both sides of a pair have the same problem and random numbers; all members of
the population have the same problems.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import tensorflow as tf

from keras_lopt.checks import check_integer, check_number
from keras_lopt.estimators.inner_run import InnerRun, InnerState, check_mapping


class EstimatorState(NamedTuple):
    """What survives between outer steps: p members, n pairs on a replica.

    The clock and the problems are shared by the members, so that a member's
    part can be copied when selection copies the member.
    """

    inner: InnerState  # leaves [p, n, 2, ...]; the sides +, - on axis 2
    noise: tf.Tensor  # [p, n, |theta|], what multiplied the last difference
    seeds: tf.Tensor  # [n, 2] int32, the problems'
    steps: tf.Tensor  # [n] int32, steps done in the current problem
    ends: tf.Tensor  # [n] int32, step at which the current problem ends


@dataclasses.dataclass(frozen=True)
class Estimator:
    """Settings of an estimator, and the estimate itself.

    Args:
        pairs: Antithetic pairs per member and outer step, over all replicas.
        horizon: Inner steps of a whole problem.
        sigma: Scale of the noise, in units of theta.
        outer_split: Data of the outer loss: "train" or "outer_valid".
        clip: Each entry of the meta-gradient is clipped to +-clip; 0.1 in
            arXiv 2009.11243.
        mapping: Of inner runs: "map" or, on accelerators, "vectorized", as
            for `InnerRun`.
    """

    pairs: int
    horizon: int
    sigma: float = 0.01
    outer_split: str = "train"
    clip: float = 0.1
    mapping: str = "map"

    name: ClassVar[str] = ""

    def __post_init__(self):
        for field in ("pairs", "horizon"):
            check_integer(field, getattr(self, field), 1)
        for field in ("sigma", "clip"):
            check_number(field, getattr(self, field), "(0, inf)")
        check_mapping(self.mapping)
        if self.outer_split not in ("train", "outer_valid"):
            raise ValueError(
                '`outer_split` must be "train" or "outer_valid": the other '
                "splits are kept for scoring and evaluation. "
                f"Received: outer_split={self.outer_split!r}"
            )

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

    def inner_run(self, rule, task):
        """The inner run that `estimate` needs."""
        return InnerRun(
            *(rule, task, self.steps_per_estimate),
            horizon=self.horizon,
            mapping=self.mapping,
        )

    def initial_state(self, inner_run, members, pairs, first_pair):
        """The first state of a replica, whose pairs begin at `first_pair`.

        The first problems are cut short by different amounts, so that later
        ones end at different times.
        """
        size = inner_run.theta_vector.size
        blank = inner_run.blank_states(members * pairs * 2)
        pieces = self.horizon // self.steps_per_estimate
        number = first_pair + tf.range(pairs)
        ends = (1 + number * pieces // self.pairs) * self.steps_per_estimate
        return EstimatorState(
            inner=_reshape_lead(blank, 1, [members, pairs, 2]),
            noise=tf.zeros([members, pairs, size]),
            seeds=tf.zeros([pairs, 2], tf.int32),
            steps=tf.zeros([pairs], tf.int32),
            ends=tf.cast(ends, tf.int32),
        )

    def draw(self, state, seed, first_pair):
        """This outer step's problems and noise, from its seed.

        Args:
            state: `EstimatorState` of this replica.
            seed: [2] int32, of the outer step; the same on all replicas.
            first_pair: int32 scalar, number of this replica's first pair.

        Returns:
            Problem seeds [n, 2] and standard normal noise [p, n, d].
        """
        members, pairs, size = state.noise.shape
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
        is_new = tf.equal(state.steps, 0)[:, None]
        seeds = tf.where(is_new, fresh, state.seeds)
        return seeds, tf.transpose(noise, [1, 0, 2])

    def estimate(self, inner_run, thetas, state, seeds, drawn, batches):
        """One estimate on one replica.

        Args:
            inner_run: From `inner_run(rule, task)`, or what stands in for it
                with a compiled `advance`.
            thetas: [p, d].
            state: `EstimatorState`.
            seeds: [n, 2], from `draw`.
            drawn: [p, n, d], from `draw`.
            batches: From `inner_run.draw_batches(seeds, state.steps,
                outer_split)`.

        Returns:
            Meta-gradients [p, d] of this replica's pairs, their mean outer
            losses [p], the new state.
        """
        members, pairs, size = state.noise.shape
        is_new = tf.equal(state.steps, 0)[:, None]
        noise, multiplier = self.next_noise(state.noise, drawn, is_new)
        moved = self.sigma * tf.stack([noise, -noise], axis=2)  # [p, n, 2, d]
        perturbed = thetas[:, None, None] + moved
        problems = tf.broadcast_to(
            tf.range(pairs)[None, :, None], [members, pairs, 2]
        )
        inner, _, losses = inner_run.advance(
            tf.reshape(perturbed, [-1, size]),
            _reshape_lead(state.inner, 3, [-1]),
            seeds,
            state.steps,
            tf.reshape(problems, [-1]),
            batches,
        )
        losses = tf.reshape(losses, [members, pairs, 2])
        grads = self.combine(losses, multiplier)
        steps = state.steps + self.steps_per_estimate
        ended = steps >= state.ends
        state = EstimatorState(
            inner=_reshape_lead(inner, 1, [members, pairs, 2]),
            noise=multiplier,
            seeds=seeds,
            steps=tf.where(ended, 0, steps),
            ends=tf.where(ended, self.horizon, state.ends),
        )
        return grads, tf.reduce_mean(losses, axis=[1, 2]), state

    def combine(self, losses, multiplier):
        """Meta-gradients [p, d] from the losses [p, n, 2] of n pairs.

        Losses are finite and bounded: the task makes sure of that.
        """
        difference = losses[:, :, 0] - losses[:, :, 1]  # [p, n]
        weight = difference / (2.0 * self.sigma * losses.shape[1])
        return tf.einsum("pn,pnd->pd", weight, multiplier)

    def clipped(self, grads):
        """The meta-gradient that a teacher gets: averaged, then clipped.

        In this order, so that it does not depend on the number of replicas.
        """
        return tf.clip_by_value(grads, -self.clip, self.clip)


def _reshape_lead(nest, count, lead):
    """Replaces the first `count` axes of every leaf by the axes `lead`."""
    return tf.nest.map_structure(
        lambda t: tf.reshape(t, [*lead, *t.shape[count:]]), nest
    )

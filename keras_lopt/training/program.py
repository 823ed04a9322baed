"""The compiled functions of the population trainer, on any strategy.

Replicas split the problems of an outer step; each estimates from its share of
antithetic pairs; the [p, d] meta-gradients are averaged; the update of theta
is the same on every replica. Inner states stay on the replicas.
"""

import tensorflow as tf

from keras_lopt.training.compiled import CompiledRun, compiled
from keras_lopt.training.outer_update import OuterUpdate
from keras_lopt.training.replicas import Replicas, largest_divisor
from keras_lopt.training.scoring import Scoring


class Program:
    """Outer step and scoring of a whole population, each one call.

    Args:
        strategy: A tf.distribute strategy.
        rule: The members' rule.
        trainer_rule: The trainers' rule.
        task: A `tasks.Task`.
        estimator: An `estimators.Estimator`.
        members: Size of the population, p.
        score_problems: Problems that a member is scored on.
        outer_horizon: As `OuterUpdate`'s horizon.
    """

    def __init__(
        self,
        strategy,
        rule,
        trainer_rule,
        task,
        estimator,
        members,
        score_problems,
        outer_horizon=None,
    ):
        self.strategy = strategy
        self.replicas = Replicas(strategy)
        for name, value in (
            ("pairs", estimator.pairs),
            ("score_problems", score_problems),
        ):
            if value < 1 or value % self.replicas.count:
                raise ValueError(
                    f"`{name}` must be >= 1 and divisible by the number of "
                    f"replicas, {self.replicas.count}. Received: {name}={value}"
                )
        self.estimator = estimator
        self.members = members
        self.pairs = estimator.pairs // self.replicas.count
        self.score_problems = score_problems
        own_problems = score_problems // self.replicas.count
        a_round = largest_divisor(own_problems, most=2 * self.pairs)
        self.inner_run = CompiledRun(
            estimator.inner_run(rule, task), max(self.pairs, a_round)
        )
        self.inner_run.prepare(2 * members * self.pairs, estimator.outer_split)
        self.scoring = Scoring(
            self.inner_run, estimator.horizon, members, own_problems, a_round
        )
        self.outer_update = OuterUpdate(rule, trainer_rule, outer_horizon)
        self._compile_outer_step()

    def _compile_outer_step(self):
        """Traces what a replica calls, on examples of its arguments."""
        estimator, seed = self.estimator, tf.zeros([2], tf.int32)
        state = estimator.initial_state(
            self.inner_run, self.members, self.pairs, 0
        )
        self._draw = compiled(estimator.draw, state, seed, 0)
        thetas = state.noise[:, 0]
        scalars = tf.zeros([self.members])
        trainer_size = self.outer_update.trainer_vector.size
        trainers = (tf.zeros([self.members, trainer_size]), scalars)
        slots = self.outer_update.blank_slots(self.members)
        steps = tf.zeros([self.members], tf.int32)
        self._update = compiled(
            self._clip_and_update,
            *(thetas, slots, steps, trainers, thetas, scalars),
        )

    def _clip_and_update(self, *args):
        thetas, slots, slot_steps, trainers, grads, losses = args
        grads = self.estimator.clipped(grads)
        return self.outer_update(
            thetas, slots, slot_steps, trainers, grads, losses
        )

    @property
    def inner_steps_per_outer_step(self):
        """Inner steps of one outer step, over all members and replicas."""
        pairs = self.members * self.estimator.pairs
        return 2 * pairs * self.estimator.steps_per_estimate

    @property
    def inner_steps_per_scoring(self):
        """Inner steps of one scoring, over all members and replicas."""
        return self.members * self.score_problems * self.estimator.horizon

    def initial_state(self):
        """`EstimatorState` of every replica before the first outer step."""
        return self.replicas.distribute(
            lambda replica: self.estimator.initial_state(
                self.inner_run, self.members, self.pairs, replica * self.pairs
            )
        )

    @tf.function
    def copy_members(self, state, sources):
        """The inner states with members' parts copied from `sources` [p]."""

        def copy(state):
            members = (state.inner, state.noise)
            inner, noise = tf.nest.map_structure(
                lambda leaf: tf.gather(leaf, sources), members
            )
            return state._replace(inner=inner, noise=noise)

        return self.strategy.run(copy, args=(state,))

    def train(self, trained, trainers, state, seeds):
        """As many outer steps as there are seeds.

        Args:
            trained: Arrays (thetas, slots, slot_steps), as for `OuterUpdate`.
            trainers: Arrays (thetas, update multipliers), likewise.
            state: From `initial_state` or the last `train`.
            seeds: Iterable of [2] int32.

        Returns:
            Arrays (thetas, slots, slot_steps), the last outer losses [p], and
            the new state.
        """
        trained = self.replicas.broadcast(trained)
        trainers = tf.nest.map_structure(tf.constant, trainers)
        for seed in seeds:
            trained, losses, state = self.outer_step(
                *trained, trainers, state, seed
            )
        return *self.replicas.one((trained, losses)), state

    @tf.function
    def outer_step(self, thetas, slots, slot_steps, trainers, state, seed):
        """One meta-gradient and one update of theta, for all members.

        Args:
            thetas, slots, slot_steps, trainers: As for `OuterUpdate`.
            state: From `initial_state` or the last `outer_step`.
            seed: [2] int32, of this outer step.

        Returns:
            Distributed (thetas, slots, slot_steps), losses [p], and state.
        """
        return self.strategy.run(
            self._replica_outer_step,
            args=(thetas, slots, slot_steps, trainers, state, seed),
        )

    def _replica_outer_step(
        self, thetas, slots, slot_steps, trainers, state, seed
    ):
        context = tf.distribute.get_replica_context()
        first_pair = self.pairs * context.replica_id_in_sync_group
        seeds, noise = self._draw(state, seed, first_pair)
        batches = self.inner_run.draw_batches(
            seeds, state.steps, self.estimator.outer_split
        )
        grads, losses, state = self.estimator.estimate(
            self.inner_run, thetas, state, seeds, noise, batches
        )
        grads, losses = self._mean_over_replicas([grads, losses])
        thetas, slots = self._update(
            thetas, slots, slot_steps, trainers, grads, losses
        )
        return (thetas, slots, slot_steps + 1), losses, state

    @tf.function
    def score(self, thetas, seed):
        """Mean losses over whole runs of the scoring problems.

        Args:
            thetas: [p, d].
            seed: [2] int32; the same seed gives the same problems.

        Returns:
            Distributed mean held-out losses [p] and mean training losses [p].
        """
        return self.strategy.run(self._replica_score, args=(thetas, seed))

    def _replica_score(self, thetas, seed):
        context = tf.distribute.get_replica_context()
        number = context.replica_id_in_sync_group
        losses = self._mean_over_replicas(self.scoring(thetas, seed, number))
        return losses[0], losses[1]

    def _mean_over_replicas(self, nest):
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, nest)

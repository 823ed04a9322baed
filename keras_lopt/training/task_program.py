"""One task's compiled functions, on any strategy.

Replicas split the problems of an outer step; each estimates from its share of
antithetic pairs; the [p, d] meta-gradients are averaged; the update of theta
is the same on every replica. Inner states stay on the replicas.
"""

import tensorflow as tf


class TaskProgram:
    """Outer step and scoring of a whole population on a task, each one call.

    Args:
        strategy: A tf.distribute strategy.
        inner_run: A `CompiledRun` of the task.
        scoring: `Scoring` of the same run.
        estimator: An `estimators.Estimator`.
        draw: Its compiled `draw`, and
        update: the compiled clipping and `OuterUpdate`: those of all tasks.
    """

    def __init__(self, strategy, inner_run, scoring, estimator, draw, update):
        self.strategy = strategy
        self.inner_run = inner_run
        self.scoring = scoring
        self.estimator = estimator
        self._draw = draw
        self._update = update
        self._outer_step = None

    @tf.function(autograph=False)
    def copy_members(self, state, sources):
        """The inner states with members' parts copied from `sources` [p]."""

        def copy(state):
            members = (state.inner, state.noise)
            inner, noise = tf.nest.map_structure(
                lambda leaf: tf.gather(leaf, sources), members
            )
            return state._replace(inner=inner, noise=noise)

        return self.strategy.run(copy, args=(state,))

    def outer_step(self, thetas, slots, slot_steps, trainers, state, seed):
        """One meta-gradient and one update of theta, for all members.

        Args:
            thetas, slots, slot_steps, trainers: As for `OuterUpdate`.
            state: Distributed `EstimatorState`.
            seed: [2] int32, of this outer step.

        Returns:
            Distributed (thetas, slots, slot_steps), losses [p], and state.
        """
        args = thetas, slots, slot_steps, trainers, state, seed
        if self._outer_step is None:
            # Always the same types: a `tf.function` would look for what fits
            # some dozens of tensors in every call.
            self._outer_step = tf.function(
                lambda *args: self.strategy.run(self._replica_outer_step, args),
                autograph=False,
            ).get_concrete_function(*args)
        return self._outer_step(*args)

    def _replica_outer_step(
        self, thetas, slots, slot_steps, trainers, state, seed
    ):
        context = tf.distribute.get_replica_context()
        first_pair = state.seeds.shape[0] * context.replica_id_in_sync_group
        # All tasks' draws are one program: it needs nothing of a task.
        seeds, noise = self._draw(state._replace(inner=()), seed, first_pair)
        batches = self.inner_run.draw_batches(
            seeds, state.steps, self.estimator.outer_split
        )
        grads, losses, state = self.estimator.estimate(
            self.inner_run, thetas, state, seeds, noise, batches
        )
        grads, losses = _mean_over_replicas([grads, losses])
        thetas, slots = self._update(
            thetas, slots, slot_steps, trainers, grads, losses
        )
        return (thetas, slots, slot_steps + 1), losses, state

    @tf.function(autograph=False)
    def score(self, thetas, seed, calls):
        """Mean losses over runs of the scoring problems.

        Args:
            thetas: [p, d].
            seed: [2] int32; the same seed gives the same problems.
            calls: int32 scalar, as for `Scoring`.

        Returns:
            Distributed mean held-out losses [p] and mean training losses [p].
        """
        return self.strategy.run(self._replica_score, (thetas, seed, calls))

    def _replica_score(self, thetas, seed, calls):
        context = tf.distribute.get_replica_context()
        number = context.replica_id_in_sync_group
        losses = self.scoring(thetas, seed, number, calls)
        losses = _mean_over_replicas(losses)
        return losses[0], losses[1]


def _mean_over_replicas(nest):
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, nest)

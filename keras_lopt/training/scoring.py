"""Scoring: whole inner runs on problems and data of no gradient."""

import tensorflow as tf

#: Members are scored on data that no gradient ever sees.
SPLIT = "inner_valid"


class Scoring:
    """Mean losses over whole runs, on one replica's share of the problems.

    In rounds of as many particles as an estimate of the meta-gradient has, so
    that both are the same compiled program.

    Args:
        run: A `CompiledRun`.
        horizon: Inner steps of a whole run.
        members: Size of the population, p.
        problems: Number of problems on each replica.
        problems_a_round: Divides `problems`.
    """

    def __init__(self, run, horizon, members, problems, problems_a_round):
        self.run = run
        self.whole_run = horizon // run.num_steps  # calls
        self.members = members
        self.problems = problems
        self.problems_a_round = problems_a_round
        self.particles = members * problems_a_round
        run.prepare(self.particles, SPLIT)

    def __call__(self, thetas, seed, replica, calls):
        """Scores the members.

        Args:
            thetas: [p, d].
            seed: [2] int32, of the set of scoring problems.
            replica: Number of the replica.
            calls: int32 scalar, of `run.advance`: `whole_run`, or fewer to
                have all compiled soon.

        Returns:
            [2, p] mean held-out losses and mean training losses.
        """
        fold_in = tf.random.experimental.stateless_fold_in
        first = self.problems * replica
        seeds = tf.stack(
            [fold_in(seed, first + i) for i in range(self.problems)]
        )
        losses = tf.map_fn(
            lambda seeds: self._score_round(thetas, seeds, calls),
            tf.reshape(seeds, [-1, self.problems_a_round, 2]),
            fn_output_signature=tf.float32,
        )  # [rounds, 2, p]
        return tf.reduce_mean(losses, axis=0)

    def _score_round(self, thetas, seeds, calls):
        """[2, p] mean losses over runs of the problems `seeds`."""
        count = self.problems_a_round
        particles = tf.repeat(thetas, count, axis=0)
        problems = tf.tile(tf.range(count), [self.members])

        def body(i, states, held_out, train):
            steps = tf.fill([count], i * self.run.num_steps)
            batches = self.run.draw_batches(seeds, steps, SPLIT)
            states, train_loss, loss = self.run.advance(
                particles, states, seeds, steps, problems, batches
            )
            return i + 1, states, held_out + loss, train + train_loss

        states = self.run.blank_states(self.particles)
        zeros = tf.zeros([self.particles])
        _, _, held_out, train = tf.while_loop(
            lambda i, *_: i < calls, body, (0, states, zeros, zeros)
        )
        losses = tf.stack([held_out, train])  # [2, particles]
        losses = tf.reshape(losses, [2, self.members, count])
        return tf.reduce_mean(losses, axis=2) / tf.cast(calls, tf.float32)

"""Scoring: whole inner runs on problems and data of no gradient."""

import tensorflow as tf

from keras_lopt.estimators import InnerRun
from keras_lopt.training.compiled import compiled

#: Members are scored on data that no gradient ever sees.
SPLIT = "inner_valid"


class Scoring:
    """Mean losses over whole runs, on one replica's share of the problems.

    Args:
        estimator: An `estimators.Estimator`; its horizon is that of scoring.
        rule: The members' rule.
        task: A `tasks.Task`.
        members: Size of the population, p.
        problems: Number of problems on each replica.
    """

    def __init__(self, estimator, rule, task, members, problems):
        self.members = members
        self.problems = problems
        self.particles = members * problems
        num_steps = estimator.steps_per_estimate
        self.calls = estimator.horizon // num_steps
        self.run = InnerRun(rule, task, num_steps, SPLIT)
        seeds = tf.zeros([problems, 2], tf.int32)
        steps = tf.zeros([problems], tf.int32)
        self._advance = compiled(
            self.run.advance,
            tf.zeros([self.particles, self.run.theta_vector.size]),
            self.run.blank_states(self.particles),
            *(seeds, steps, tf.zeros([self.particles], tf.int32)),
            self.run.draw_batches(seeds, steps),
        )

    def __call__(self, thetas, seed, replica):
        """Scores the members.

        Args:
            thetas: [p, d].
            seed: [2] int32, of the set of scoring problems.
            replica: Number of the replica.

        Returns:
            [2, p] mean held-out losses and mean training losses.
        """
        fold_in = tf.random.experimental.stateless_fold_in
        first = self.problems * replica
        seeds = tf.stack(
            [fold_in(seed, first + i) for i in range(self.problems)]
        )
        particles = tf.repeat(thetas, self.problems, axis=0)
        problems = tf.tile(tf.range(self.problems), [self.members])

        def body(i, states, held_out, train):
            steps = tf.fill([self.problems], i * self.run.num_steps)
            batches = self.run.draw_batches(seeds, steps)
            states, train_loss, loss = self._advance(
                particles, states, seeds, steps, problems, batches
            )
            return i + 1, states, held_out + loss, train + train_loss

        states = self.run.blank_states(self.particles)
        zeros = tf.zeros([self.particles])
        _, _, held_out, train = tf.while_loop(
            lambda i, *_: i < self.calls, body, (0, states, zeros, zeros)
        )
        losses = tf.stack([held_out, train]) / self.calls  # [2, particles]
        losses = tf.reshape(losses, [2, self.members, self.problems])
        return tf.reduce_mean(losses, axis=2)

"""Scoring: whole inner runs on problems and data that no gradient sees."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_lopt.training.experiment import SCORING_SPLIT

_fold_in = tf.random.experimental.stateless_fold_in


def problem_set(experiment, generation):
    """Number of the set of scoring problems that a generation uses."""
    return generation // experiment.schedule.redraw_every


def scored(experiment, devices, members, generation):
    """The members with their scores on the problems of a generation."""
    number = problem_set(experiment, generation)
    scores, train_losses = devices.score(
        members.averages, _fold_in([experiment.seed, 1], number)
    )
    weight = np.float32(experiment.schedule.score_train_weight)
    if weight:
        scores = (1 - weight) * scores + weight * train_losses
    weights = experiment.mixture.weights.astype(np.float32)
    return dataclasses.replace(
        members,
        scores=scores @ weights,
        train_losses=train_losses @ weights,
        task_scores=scores,
    )


class Scoring:
    """Mean losses over whole runs, on one replica's share of the problems.

    Particles run in rounds, if possible as many per round as in an estimate of
    the meta-gradient: then both are the same compiled program.

    Args:
        run: A `devices.SplitRun` of the task.
        members: Size of the population, p.
        problems: Number of problems on each replica.
        problems_per_round: Divides `problems`.
    """

    def __init__(self, run, members, problems, problems_per_round):
        self.run = run
        self.members = members
        self.problems = problems
        self.problems_per_round = problems_per_round
        self.particles = members * problems_per_round
        run.prepare(self.particles, SCORING_SPLIT)

    def __call__(self, thetas, seed, first, calls, horizon):
        """Scores the members.

        Args:
            thetas: [p, d].
            seed: [2] int32, of the set of scoring problems.
            first: Number of this replica's first problem.
            calls: int32 scalar, of `run.advance`: those of whole runs, or
                fewer to have all compiled soon.
            horizon: int32 scalar, what the rule is told.

        Returns:
            [2, p] mean held-out losses and mean training losses.
        """
        seeds = tf.stack(
            [_fold_in(seed, first + i) for i in range(self.problems)]
        )
        losses = tf.map_fn(
            lambda seeds: self._score_round(thetas, seeds, calls, horizon),
            tf.reshape(seeds, [-1, self.problems_per_round, 2]),
            fn_output_signature=tf.float32,
        )  # [rounds, 2, p]
        return tf.reduce_mean(losses, axis=0)

    def _score_round(self, thetas, seeds, calls, horizon):
        """[2, p] mean losses over runs of the problems `seeds`."""
        count = self.problems_per_round
        particles = tf.repeat(thetas, count, axis=0)
        problems = tf.tile(tf.range(count), [self.members])
        horizons = tf.fill([count], horizon)

        def body(i, states, held_out, train):
            steps = tf.fill([count], i * self.run.num_steps)
            batches = self.run.draw_batches(seeds, steps, SCORING_SPLIT)
            states, train_loss, loss = self.run.advance(
                particles, states, seeds, steps, problems, batches, horizons
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

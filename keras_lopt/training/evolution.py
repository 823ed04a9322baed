"""A generation: who trains whom, outer steps, scoring, selection."""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_lopt.training import records


class Outcome(NamedTuple):
    """What a generation leads to; p members."""

    members: object  # `population.Members` after selection
    inner_state: object  # distributed `EstimatorState`
    accepted: np.ndarray  # [p] bool, whose child took its place
    losses: np.ndarray  # [p] outer losses of the last outer step
    child_rows: list  # rows of members.csv


@dataclasses.dataclass
class Evolution:
    """Takes a population from one generation to the next.

    All randomness follows from the seed and the number of the generation.

    Args:
        program: The compiled `Program`.
        schedule: A `Schedule`.
        trainers: A `population.Trainers`.
        selection: A `population.Selection`.
        mutation: Of the update multipliers.
        initial_thetas: [p, d], what the trainers are to know of the start.
        seed: Integer.
    """

    program: object
    schedule: object
    trainers: object
    selection: object
    mutation: object
    initial_thetas: np.ndarray
    seed: int

    def scoring(self, generation):
        """Number of the set of scoring problems in use."""
        return generation // self.schedule.redraw_every

    def score(self, members, generation):
        """The members with their scores on the problems in use."""
        seed = tf.random.experimental.stateless_fold_in(
            [self.seed, 1], self.scoring(generation)
        )
        scores = self.program.score(tf.constant(members.thetas), seed)
        scores, train_losses = self.program.replicas.one(scores)
        return dataclasses.replace(
            members, scores=scores, train_losses=train_losses
        )

    def next(self, members, inner_state, generation):
        """Generation number `generation` + 1, an `Outcome`."""
        rng = np.random.default_rng((self.seed, generation))
        if generation and generation % self.schedule.redraw_every == 0:
            members = self.score(members, generation)
        teachers, drawn = self.trainers.draw(
            members.thetas, members.scores, self.initial_thetas, rng
        )
        sources = self.selection.sources(members.scores, rng)
        children = self._children(members, sources, generation, rng)
        if not np.array_equal(sources, np.arange(len(sources))):
            inner_state = self.program.copy_members(
                inner_state, tf.constant(sources)
            )
        children, losses, inner_state = self.train(
            children,
            teachers,
            inner_state,
            first=generation * self.schedule.outer_steps,
            count=self.schedule.outer_steps,
        )
        children = self.score(children, generation)
        accepted = self.selection.accepted(members.scores, children.scores)
        rows = records.child_rows(
            generation + 1, members, children, drawn, accepted
        )
        members = members.replace_where(accepted, children)
        return Outcome(members, inner_state, accepted, losses, rows)

    def _children(self, members, sources, generation, rng):
        count = len(sources)
        children = members.take(sources)
        children.parents = members.ids[sources]
        # Numbers below are the random candidates'.
        first = (self.schedule.candidates + generation) * count
        children.ids = first + np.arange(count)
        children.multipliers = self.mutation.mutate(children.multipliers, rng)
        fresh = rng.random(count) < self.trainers.fresh
        children.slot_steps = np.where(fresh, 0, children.slot_steps)
        return children

    def train(self, members, teachers, inner_state, first, count):
        """Outer steps first, ..., first + count - 1.

        Args:
            members: `population.Members`.
            teachers: [p, d'] theta of each member's trainer.
            inner_state: Distributed `EstimatorState`.
            first, count: Numbers of outer steps.

        Returns:
            The members, their last outer losses [p], the inner state.
        """
        seeds = (
            tf.random.experimental.stateless_fold_in([self.seed, 0], first + i)
            for i in range(count)
        )
        trained, losses, inner_state = self.program.train(
            (members.thetas, members.slots, members.slot_steps),
            (teachers, members.multipliers.astype(np.float32)),
            inner_state,
            seeds,
        )
        thetas, slots, slot_steps = trained
        members = dataclasses.replace(
            members, thetas=thetas, slots=slots, slot_steps=slot_steps
        )
        return members, losses, inner_state

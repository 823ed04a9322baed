"""A generation: who trains whom, outer steps, scoring, selection."""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_lopt.training import records


class Outcome(NamedTuple):
    """What a generation leads to; p members."""

    members: object  # `population.Members` after selection
    memory: dict  # of the trainers
    inner_states: list  # the tasks' distributed `EstimatorState`s
    accepted: np.ndarray  # [p] bool, whose child took its place
    losses: np.ndarray  # [p] outer losses of the last outer step
    task_steps: np.ndarray  # [t] how many of its outer steps each task had
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
        seed: Integer.
    """

    program: object
    schedule: object
    trainers: object
    selection: object
    mutation: object
    seed: int

    def scoring(self, generation):
        """Number of the set of scoring problems in use."""
        return generation // self.schedule.redraw_every

    def score(self, members, generation):
        """The members with their scores on the problems in use."""
        seed = tf.random.experimental.stateless_fold_in(
            [self.seed, 1], self.scoring(generation)
        )
        scores, train_losses = self.program.score(members.thetas, seed)
        weights = self.program.mixture.weights.astype(np.float32)
        return dataclasses.replace(
            members,
            scores=scores @ weights,
            train_losses=train_losses @ weights,
            task_scores=scores,
        )

    def tasks(self, generation):
        """Indices of the tasks that this generation's outer steps use."""
        count = self.schedule.outer_steps
        first = generation * count
        draw = self.program.mixture.draw
        return [draw(self.seed, first + i) for i in range(count)]

    def next(self, members, memory, inner_states, generation):
        """Generation number `generation` + 1, an `Outcome`."""
        rng = np.random.default_rng((self.seed, generation))
        if generation and generation % self.schedule.redraw_every == 0:
            members = self.score(members, generation)
        teachers = self.trainers.draw(members, memory, rng)
        sources = self.selection.sources(members.scores, rng)
        children = self._children(members, sources, teachers, generation, rng)
        if not np.array_equal(sources, np.arange(len(sources))):
            inner_states = self.program.copy_members(inner_states, sources)
        children, losses, inner_states = self._train(
            children, teachers.thetas, inner_states, generation
        )
        children = self.score(children, generation)
        accepted = self.selection.accepted(members.scores, children.scores)
        rows = records.child_rows(
            generation + 1, children, teachers.ids, accepted
        )
        gains = members.scores[sources] - children.scores
        gains = np.where(accepted, gains, -np.inf)
        members = members.replace_where(accepted, children)
        memory = self.trainers.learn(memory, teachers, children, gains, members)
        task_steps = np.bincount(
            self.tasks(generation), minlength=len(inner_states)
        )
        return Outcome(
            members, memory, inner_states, accepted, losses, task_steps, rows
        )

    def _children(self, members, sources, teachers, generation, rng):
        count = len(sources)
        children = members.take(sources)
        children.parents = members.ids[sources]
        # Numbers below are the random candidates'.
        first = (self.schedule.candidates + generation) * count
        children.ids = first + np.arange(count)
        begun = teachers.multipliers
        children.multipliers = self.mutation.mutate(
            np.where(np.isnan(begun), children.multipliers, begun), rng
        )
        fresh = rng.random(count) < self.trainers.fresh
        children.slot_steps = np.where(fresh, 0, children.slot_steps)
        return children

    def _train(self, members, teachers, inner_states, generation):
        """The outer steps of a generation.

        Args:
            members: `population.Members`.
            teachers: [p, d'] theta of each member's trainer.
            inner_states: The tasks' distributed `EstimatorState`s.
            generation: Its number.

        Returns:
            The members, their last outer losses [p], the inner states.
        """
        first = generation * self.schedule.outer_steps
        steps = (
            (
                task,
                tf.random.experimental.stateless_fold_in([self.seed, 0], i),
            )
            for i, task in enumerate(self.tasks(generation), start=first)
        )
        trained, losses, inner_states = self.program.train(
            (members.thetas, members.slots, members.slot_steps),
            (teachers, members.multipliers.astype(np.float32)),
            inner_states,
            steps,
        )
        thetas, slots, slot_steps = trained
        members = dataclasses.replace(
            members, thetas=thetas, slots=slots, slot_steps=slot_steps
        )
        return members, losses, inner_states

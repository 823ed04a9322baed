"""A generation: who teaches whom, outer steps, scoring, selection."""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_lopt.population import Members
from keras_lopt.training.outer_step import OuterStep
from keras_lopt.training.scoring import scored


class Report(NamedTuple):
    """What happened in a generation, to p members."""

    children: Members  # scored, accepted or not
    teacher_ids: np.ndarray  # [p], -1 for a teacher that was never a member
    accepted: np.ndarray  # [p] bool, whose child took its place
    losses: np.ndarray  # [p] outer losses of the last outer step


def next_generation(experiment, devices, state):
    """The population after one more generation.

    All randomness follows from the experiment's seed and the number of the
    generation.

    Args:
        experiment: An `Experiment`.
        devices: `devices.Devices` of it.
        state: A `PopulationState`; it is left unchanged.

    Returns:
        The new state, and a `Report`. History and clock of the state are left
        to the caller.
    """
    teachers, selection = experiment.teachers, experiment.selection
    members, generation = state.members, state.generation
    rng = np.random.default_rng((experiment.seed, generation))
    if generation and generation % experiment.schedule.redraw_every == 0:
        members = scored(experiment, devices, members, generation)
    # Every member draws a teacher; the worst begin as copies of the best.
    drawn = teachers.draw(members, state.memory, rng)
    sources = selection.sources(members.scores, rng)
    children = _begin(experiment, members, sources, drawn, generation, rng)
    inner_states = state.inner_states
    if not np.array_equal(sources, np.arange(len(sources))):
        inner_states = devices.copy_members(inner_states, sources)
    # Each child takes its outer steps; the teacher's rule updates theta.
    steps = outer_steps(experiment, generation)
    children, losses, inner_states = _train(
        devices, children, drawn.thetas, inner_states, steps
    )
    # A child takes a place only if selection accepts its score.
    children = scored(experiment, devices, children, generation)
    accepted = selection.accepted(members.scores, children.scores)
    gains = members.scores[sources] - children.scores
    gains = np.where(accepted, gains, -np.inf)
    members = members.replace_where(accepted, children)
    tasks = [task for step in steps for task in step.tasks]
    state = state.replace(
        generation=generation + 1,
        members=members,
        memory=teachers.learn(state.memory, drawn, children, gains, members),
        inner_states=inner_states,
        task_steps=state.task_steps
        + np.bincount(tasks, minlength=len(state.task_steps)),
    )
    return state, Report(children, drawn.ids, accepted, losses)


def outer_steps(experiment, generation):
    """The `OuterStep`s of a generation: their tasks and random numbers."""
    count = experiment.schedule.outer_steps
    first = generation * count
    return [_outer_step(experiment, i) for i in range(first, first + count)]


def _outer_step(experiment, number):
    fold_in = tf.random.experimental.stateless_fold_in
    count = experiment.schedule.tasks_per_step
    tasks = experiment.mixture.draw_several(experiment.seed, number, count)
    seed = fold_in([experiment.seed, 0], number)
    # Each task has noise of its own: what one misses another may see.
    seeds = seed, *(fold_in(seed, i) for i in range(1, count))
    return OuterStep(number, tasks, seeds)


def _begin(experiment, members, sources, drawn, generation, rng):
    """The children before their outer steps."""
    count = len(sources)
    children = members.take(sources)
    children.parents = members.ids[sources]
    # Smaller ids are those of the random candidates.
    first = (experiment.schedule.candidates + generation) * count
    children.ids = first + np.arange(count)
    begun = drawn.multipliers
    children.multipliers = experiment.mutation.mutate(
        np.where(np.isnan(begun), children.multipliers, begun), rng
    )
    fresh = rng.random(count) < experiment.teachers.fresh
    children.slot_steps = np.where(fresh, 0, children.slot_steps)
    return children


def _train(devices, children, teachers, inner_states, steps):
    """The children after their outer steps, and their last outer losses [p]."""
    trained, losses, inner_states = devices.train(
        (
            children.thetas,
            children.averages,
            children.slots,
            children.slot_steps,
        ),
        (teachers, children.multipliers.astype(np.float32)),
        inner_states,
        steps,
    )
    names = ("thetas", "averages", "slots", "slot_steps")
    children = dataclasses.replace(children, **dict(zip(names, trained)))
    return children, losses, inner_states

"""An experiment's outer steps and scorings on the replicas of a strategy."""

import concurrent.futures
import contextlib
import functools
import json

import numpy as np
import tensorflow as tf

from keras_lopt.estimators import EstimatorState
from keras_lopt.rules import ThetaVector
from keras_lopt.training import outer_step, state
from keras_lopt.training.devices.division import Division
from keras_lopt.training.devices.replicas import Replicas, largest_divisor
from keras_lopt.training.devices.split_run import SplitRun
from keras_lopt.training.devices.tracing import TracedOnce, compiled
from keras_lopt.training.scoring import Scoring

stateless_fold_in = tf.random.experimental.stateless_fold_in

#: `Devices` made within `reuse_compiled`, by what their compilation depends on.
_reused = None


@contextlib.contextmanager
def reuse_compiled():
    """Within this context, experiments that are alike are compiled once.

    They may differ in what is decided between outer steps: in seed, selection,
    mutation, and who teaches whom. Tasks with the same description count as the
    same: give a task with other data another name. A nested context begins with
    nothing to reuse.
    """
    global _reused
    before, _reused = _reused, {}
    try:
        yield
    finally:
        _reused = before


def devices_of(experiment, strategy=None):
    """`Devices` of an experiment, new or reused."""
    if _reused is None:
        return Devices(experiment, strategy)
    strategy = strategy or tf.distribute.get_strategy()
    schedule = experiment.schedule
    key = (
        strategy.num_replicas_in_sync,
        experiment.rule,
        experiment.teacher_rule,
        json.dumps(experiment.mixture.describe()),
        experiment.estimator,
        tuple(experiment.frozen),
        experiment.dtype_policy,
        schedule.population,
        schedule.score_problems,
        schedule.outer_horizon,
        schedule.tasks_per_step,
        schedule.averaging,
        tuple(experiment.score_runs),
        experiment.teachers.as_one,
        experiment.teachers.relative,
    )
    if key not in _reused:
        _reused[key] = Devices(experiment, strategy)
    return _reused[key]


class Devices:
    """Outer steps and scorings of a whole population, each a few calls.

    The draw of problems and noise and the update of theta need nothing of a
    task: they are compiled once for all tasks.

    Args:
        experiment: An `Experiment`.
        strategy: A tf.distribute strategy; default: the current one.

    Attributes:
        division: `Division` of the work.
        replicas: `Replicas` of the strategy.
        update: `outer_step.update` of distributed values, as one graph.
        tasks: List of `TaskFunctions`, one per task.
    """

    def __init__(self, experiment, strategy=None):
        self.experiment = experiment
        self.strategy = strategy or tf.distribute.get_strategy()
        count = self.strategy.num_replicas_in_sync
        self.division = Division.of(count, experiment)
        self.replicas = Replicas(self.strategy, self.division)
        draw, self.update = self._compile_what_is_shared()
        self.tasks = [
            TaskFunctions(self, task, draw) for task in experiment.mixture.tasks
        ]

    def _compile_what_is_shared(self):
        """The estimator's draw, and the update of theta on all replicas."""
        experiment, own = self.experiment, self.division
        members = experiment.schedule.population
        thetas = tf.zeros([members, experiment.theta_vector.size])
        numbers = tf.zeros([own.pairs], tf.int32)
        seeds = tf.zeros([own.pairs, 2], tf.int32)
        noise = tf.zeros([own.members, own.pairs, thetas.shape[1]])
        blank = EstimatorState(
            inner=(),
            noise=noise,
            seeds=seeds,
            horizons=numbers,
            steps=numbers,
            ends=numbers,
            squares=tf.zeros([own.members]),
        )
        draw = compiled(
            functools.partial(outer_step.draw, experiment),
            *(blank, seeds[0], 0, 0, 0),
        )
        update = compiled(
            functools.partial(outer_step.update, experiment),
            thetas,
            thetas,
            state.blank_slots(experiment),
            tf.zeros([members], tf.int32),
            self._blank_teachers(),
            [thetas] * experiment.schedule.tasks_per_step,
            [tf.zeros([members])] * experiment.schedule.tasks_per_step,
        )
        run = self.strategy.run
        return draw, TracedOnce(lambda *args: run(update, args))

    def _blank_teachers(self):
        """Zeros as thetas and multipliers of teachers."""
        members = self.experiment.schedule.population
        size = ThetaVector(self.experiment.teacher_rule).size
        return tf.zeros([members, size]), tf.zeros([members])

    def initial_states(self):
        """Each task's `EstimatorState`s before the first outer step."""
        estimator, own = self.experiment.estimator, self.division

        def distributed(run):
            return self.replicas.distribute(
                lambda replica: estimator.initial_state(
                    run, own.members, own.pairs, own.first_pair(replica)
                )
            )

        return [distributed(task.run) for task in self.tasks]

    def copy_members(self, states, sources):
        """All tasks' states, each member's part copied from `sources` [p]."""
        sources = tf.constant(sources, tf.int64)
        return [
            task.copy_members(state, sources)
            for task, state in zip(self.tasks, states)
        ]

    def compile(self, members):
        """Compiles it all, in threads, by calls whose results are dropped.

        Traced by one thread in one order, the same on all workers; meanwhile
        other threads compile what has been traced. NCCL's operations, too,
        have to begin in one order: several GPUs compile one after the other.

        Args:
            members: `population.Members`.
        """
        one_by_one = self.replicas.count > 1 and not self.replicas.on_cpu
        with concurrent.futures.ThreadPoolExecutor(
            max_workers=1 if one_by_one else None
        ) as pool:
            futures = [pool.submit(lambda: self.experiment.mixture.shares)]
            for function, args in self._first_calls(members):
                function.trace(*args)
                futures.append(pool.submit(function, *args))
            for future in futures:
                future.result()

    def _first_calls(self, members):
        """All functions that are traced, with arguments, in a fixed order."""
        thetas, seed = tf.constant(members.thetas), tf.zeros([2], tf.int32)
        zero, one = tf.constant(0), tf.constant(1)
        yield self.update, self._update_args(members)
        for task, begun in zip(self.tasks, self.initial_states()):
            args = self.replicas.broadcast(thetas), begun, seed, zero
            yield task.estimate, args
            yield task.score, (thetas, seed, one, zero)
            everyone = tf.range(len(members.ids), dtype=tf.int64)
            yield task.copy_members, (begun, everyone)

    def _update_args(self, members):
        count = self.experiment.schedule.tasks_per_step
        zeros = tf.zeros_like(members.thetas), tf.zeros(len(members.ids))
        grads, losses = ([self.replicas.broadcast(z)] * count for z in zeros)
        trained = (members.thetas, members.averages, members.slots)
        trained = self.replicas.broadcast((*trained, members.slot_steps))
        return *trained, self._blank_teachers(), grads, losses

    @property
    def num_traces(self):
        """How often functions were traced; constant after a generation."""
        return self.update.num_traces + sum(t.num_traces for t in self.tasks)

    def train(self, trained, teachers, states, steps):
        """Takes outer steps, one per entry of `steps`.

        Args:
            trained: Arrays (thetas, averages, slots, slot_steps), as for
                `outer_step.update`.
            teachers: Arrays (thetas, update multipliers), likewise.
            states: From `initial_states` or the last `train`.
            steps: List of `OuterStep`s.

        Returns:
            Arrays like `trained`, the last outer losses [p], and
            the new states.
        """
        trained = self.replicas.broadcast(trained)
        teachers = tf.nest.map_structure(tf.constant, teachers)
        states = list(states)
        for step in steps:
            grads, losses = [], []
            for task, seed in zip(step.tasks, step.seeds, strict=True):
                own_grads, own_losses, states[task] = self.tasks[task].estimate(
                    trained[0], states[task], seed, tf.constant(step.number)
                )
                grads.append(own_grads)
                losses.append(own_losses)
            trained, losses = self.update(*trained, teachers, grads, losses)
        return *self.replicas.one((trained, losses)), states

    def score(self, thetas, seed):
        """Mean losses over whole runs of the scoring problems.

        Args:
            thetas: [p, d].
            seed: [2] int32; the same seed gives the same problems.

        Returns:
            Mean held-out losses and mean training losses, arrays [p, t].
        """
        thetas, fold_in = tf.constant(thetas), stateless_fold_in
        runs = self.experiment.score_runs
        seeds = [seed, *(fold_in(seed, i) for i in range(1, len(runs)))]
        losses = [
            np.mean(
                [
                    self.replicas.one(task.score_whole(thetas, seed, *run))
                    for seed, run in zip(seeds, runs)
                ],
                axis=0,
            )
            for task in self.tasks
        ]  # t times [2, p]
        held_out, train = np.stack(losses, axis=2)
        return held_out, train


class TaskFunctions:
    """One task's functions, each one call for the whole population.

    Args:
        devices: The `Devices`.
        task: The `tasks.Task`.
        draw: The estimator's draw, compiled.
    """

    def __init__(self, devices, task, draw):
        experiment, replicas = devices.experiment, devices.replicas
        own = devices.division
        per_round = largest_divisor(own.problems, most=2 * own.pairs)
        self._division = own
        self._strategy = devices.strategy
        self._estimator = estimator = experiment.estimator
        self._draw = draw
        self.run = SplitRun(
            estimator.inner_run(experiment.rule, task, replicas.on_cpu),
            max(own.pairs, per_round),
            replicas.parallel_calls,
        )
        self.run.prepare(2 * own.members * own.pairs, estimator.outer_split)
        self.scoring = Scoring(self.run, own.members, own.problems, per_round)

    @functools.cached_property
    def copy_members(self):
        """Function of inner states and [p] members that parts are copied of."""
        copy = self._division.copy_members
        return TracedOnce(lambda *args: self._strategy.run(copy, args))

    @property
    def num_traces(self):
        """How often functions were traced."""
        functions = (self.copy_members, self.estimate, self.score)
        return sum(function.num_traces for function in functions)

    @functools.cached_property
    def estimate(self):
        """`outer_step.estimate` of distributed thetas, state, and a seed."""
        estimate = functools.partial(
            outer_step.estimate,
            *(self._estimator, self._draw, self.run, self._division),
        )
        return TracedOnce(lambda *args: self._strategy.run(estimate, args))

    def score_whole(self, thetas, seed, steps, told):
        """`score` over whole runs of `steps` steps, told the horizon `told`."""
        calls = tf.constant(steps // self.run.num_steps)
        return self.score(thetas, seed, calls, tf.constant(told))

    @functools.cached_property
    def score(self):
        """Function to mean losses over runs of the scoring problems.

        Args:
            thetas: [p, d].
            seed: [2] int32; the same seed gives the same problems.
            calls, horizon: int32 scalars, as for `Scoring`.

        Returns:
            Distributed mean held-out losses [p] and mean training losses [p].
        """
        score = self._score_replica
        return TracedOnce(lambda *args: self._strategy.run(score, args))

    def _score_replica(self, thetas, seed, calls, horizon):
        own, context = self._division, tf.distribute.get_replica_context()
        first = own.first_problem(context.replica_id_in_sync_group)
        losses = self.scoring(own.own(thetas), seed, first, calls, horizon)
        return tuple(own.mean(loss) for loss in tf.unstack(losses))

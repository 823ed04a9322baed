"""The compiled functions of the population trainer, for all its tasks.

What a task needs of its own is in task_program.py; the draw of problems and
noise and the update of theta are compiled once for all of them.
"""

import concurrent.futures

import numpy as np
import tensorflow as tf

from keras_lopt.estimators import EstimatorState
from keras_lopt.training.compiled import CompiledRun, compiled
from keras_lopt.training.outer_update import OuterUpdate
from keras_lopt.training.replicas import Replicas, largest_divisor
from keras_lopt.training.scoring import Scoring
from keras_lopt.training.task_program import TaskProgram


class Program:
    """Outer steps and scoring of a whole population.

    Args:
        strategy: A tf.distribute strategy.
        rule: The members' rule.
        trainer_rule: The trainers' rule.
        mixture: A `tasks.Mixture` of t tasks.
        estimator: An `estimators.Estimator`.
        members: Size of the population, p.
        score_problems: Problems of each task that a member is scored on.
        outer_horizon: As `OuterUpdate`'s horizon.

    Attributes:
        tasks: List of the tasks' `TaskProgram`s.
    """

    def __init__(
        self,
        strategy,
        rule,
        trainer_rule,
        mixture,
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
        self.rule = rule
        self.mixture = mixture
        self.estimator = estimator
        self.members = members
        self.pairs = estimator.pairs // self.replicas.count
        self.score_problems = score_problems
        self.outer_update = OuterUpdate(rule, trainer_rule, outer_horizon)
        self._draw, self._update = self._compile_what_is_shared()
        self.tasks = [self._task_program(task) for task in mixture.tasks]

    def _compile_what_is_shared(self):
        """Traces what a replica calls, on examples of its arguments."""
        thetas = tf.zeros([self.members, self.outer_update.theta_vector.size])
        scalars = tf.zeros([self.members])
        numbers = tf.zeros([self.pairs], tf.int32)
        seeds = tf.zeros([self.pairs, 2], tf.int32)
        noise = tf.zeros([self.members, self.pairs, thetas.shape[1]])
        state = EstimatorState((), noise, seeds, numbers, numbers)
        draw = compiled(self.estimator.draw, state, seeds[0], 0)
        trainer_size = self.outer_update.trainer_vector.size
        trainers = (tf.zeros([self.members, trainer_size]), scalars)
        slots = self.outer_update.blank_slots(self.members)
        steps = tf.zeros([self.members], tf.int32)
        update = compiled(
            self._clip_and_update,
            *(thetas, slots, steps, trainers, thetas, scalars),
        )
        return draw, update

    def _clip_and_update(self, *args):
        thetas, slots, slot_steps, trainers, grads, losses = args
        grads = self.estimator.clipped(grads)
        return self.outer_update(
            thetas, slots, slot_steps, trainers, grads, losses
        )

    def _task_program(self, task):
        own_problems = self.score_problems // self.replicas.count
        a_round = largest_divisor(own_problems, most=2 * self.pairs)
        inner_run = CompiledRun(
            self.estimator.inner_run(self.rule, task),
            max(self.pairs, a_round),
            self.replicas.parallel_calls,
        )
        particles = 2 * self.members * self.pairs
        inner_run.prepare(particles, self.estimator.outer_split)
        horizon = self.estimator.horizon
        scoring = Scoring(
            inner_run, horizon, self.members, own_problems, a_round
        )
        return TaskProgram(
            self.strategy,
            inner_run,
            scoring,
            self.estimator,
            self._draw,
            self._update,
        )

    @property
    def inner_steps_per_outer_step(self):
        """Inner steps of one outer step, over all members and replicas."""
        pairs = self.members * self.estimator.pairs
        return 2 * pairs * self.estimator.steps_per_estimate

    @property
    def inner_steps_per_scoring(self):
        """Inner steps of one scoring, over all tasks, members and replicas."""
        runs = len(self.tasks) * self.members * self.score_problems
        return runs * self.estimator.horizon

    def initial_states(self):
        """Each task's `EstimatorState`s before the first outer step."""

        def distributed(run):
            return self.replicas.distribute(
                lambda replica: self.estimator.initial_state(
                    run, self.members, self.pairs, replica * self.pairs
                )
            )

        return [distributed(task.inner_run) for task in self.tasks]

    def copy_members(self, states, sources):
        """All tasks' states, members' parts copied from `sources` [p]."""
        sources = tf.constant(sources)
        return [
            task.copy_members(state, sources)
            for task, state in zip(self.tasks, states)
        ]

    def compile(self, members):
        """Compiles it all, in threads, by calls whose results are dropped.

        Args:
            members: `population.Members`.
        """
        trained = members.thetas, members.slots, members.slot_steps
        size = self.outer_update.trainer_vector.size
        trainers = tf.zeros([self.members, size]), tf.zeros([self.members])
        states, seed = self.initial_states(), tf.zeros([2], tf.int32)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            futures = [pool.submit(lambda: self.mixture.shares)]
            for number in range(len(self.tasks)):
                step = (trained, trainers, states, [(number, seed)])
                futures.append(pool.submit(self.train, *step))
                score = self.tasks[number].score
                one_call = tf.constant(members.thetas), seed, tf.constant(1)
                futures.append(pool.submit(score, *one_call))
            for future in futures:
                future.result()

    def train(self, trained, trainers, states, steps):
        """Outer steps, as many as `steps` has entries.

        Args:
            trained: Arrays (thetas, slots, slot_steps), as for `OuterUpdate`.
            trainers: Arrays (thetas, update multipliers), likewise.
            states: From `initial_states` or the last `train`.
            steps: Iterable of pairs: index of the task, and [2] int32 seed.

        Returns:
            Arrays (thetas, slots, slot_steps), the last outer losses [p], and
            the new states.
        """
        trained = self.replicas.broadcast(trained)
        trainers = tf.nest.map_structure(tf.constant, trainers)
        states = list(states)
        for number, seed in steps:
            trained, losses, states[number] = self.tasks[number].outer_step(
                *trained, trainers, states[number], seed
            )
        return *self.replicas.one((trained, losses)), states

    def score(self, thetas, seed):
        """Mean losses over whole runs of the scoring problems.

        Args:
            thetas: [p, d].
            seed: [2] int32; the same seed gives the same problems.

        Returns:
            Mean held-out losses and mean training losses, arrays [p, t].
        """
        thetas = tf.constant(thetas)
        losses = [
            task.score(thetas, seed, tf.constant(task.scoring.whole_run))
            for task in self.tasks
        ]
        losses = [self.replicas.one(pair) for pair in losses]
        held_out, train = (np.stack(part, axis=1) for part in zip(*losses))
        return held_out, train

"""Self-training of a population of learned optimizers.

After Metz, Freeman, Maheswaranathan, Sohl-Dickstein 2021, "Training Learned
Optimizers with Randomly Initialized Learned Optimizers" (arXiv 2101.07367).
Who trains whom, how long a generation is and what is mutated are settings.
"""

import time

import keras
import numpy as np
import tensorflow as tf

from keras_lopt.population import Elitist, League, LogNormal, Members
from keras_lopt.rules import ThetaVector
from keras_lopt.tasks import Mixture
from keras_lopt.training import records
from keras_lopt.training.evolution import Evolution
from keras_lopt.training.program import Program
from keras_lopt.training.schedule import Schedule, check_generations


class PopulationTrainer:
    """Trains a population; in self-training by its own members.

    A generation: every member draws a trainer; the worst start from copies of
    the best; each takes K outer steps (a meta-gradient, applied by its
    trainer's rule); children are scored on held-out problems; selection
    decides which children take their parents' places.

    Args:
        rule: The members' `rules.Rule`.
        task: A `tasks.Task`, or a `tasks.Mixture` of some.
        estimator: An `estimators.Estimator`.
        schedule: A `Schedule`.
        trainers: A `population.Trainers`: who trains whom.
        selection: A `population.Selection`.
        mutation: Of the update multipliers, e.g. `population.LogNormal`.
        strategy: A tf.distribute strategy; default: the current one.
        seed: Integer. The same seed gives the same history, bit for bit, on
            one machine and the same number of replicas.

    Attributes:
        mixture: The `tasks.Mixture`; a task alone is one, too.
        members: `population.Members`.
        memory: What `trainers` remembers, a dict of arrays.
        generation: Generations done.
        history: List of dicts, one a generation, the first before any.
        last_generation: Who trained whom in it, a list of dicts.
        compile_seconds: Time that tracing and compilation took.

    >>> from keras_lopt import estimators, rules, tasks, training
    >>> trainer = training.PopulationTrainer(
    ...     rules.get("fused", hidden_units=1, hidden_layers=1),
    ...     tasks.digits_mlp(size=4, hidden=(2,), batch_size=2),
    ...     estimators.PES(2, 4, truncation=2, outer_split="outer_valid"),
    ...     training.Schedule(population=4, outer_steps=2, score_problems=1),
    ... )
    >>> history = trainer.fit(generations=1)
    >>> history[-1]["outer_step"], sorted(trainer.best_theta())
    (2, ['b0', 'b1', 'w0', 'w1'])
    """

    def __init__(
        self,
        rule,
        task,
        estimator,
        schedule=None,
        trainers=None,
        selection=None,
        mutation=None,
        strategy=None,
        seed=0,
    ):
        self.rule = rule
        self.mixture = Mixture.of(task)
        self.estimator = estimator
        self.schedule = schedule or Schedule()
        self.trainers = trainers or League()
        self.selection = selection or Elitist()
        self.mutation = mutation or LogNormal()
        self.strategy = strategy or tf.distribute.get_strategy()
        self.seed = seed
        self.theta_vector = ThetaVector(rule)
        self.selection.check(self.schedule.population)
        self.generation = 0
        self.seconds = 0.0
        self.compile_seconds = 0.0
        self.stop_training = False
        self.history = []
        self.last_generation = []
        self.members = None
        self.memory = {}
        self.inner_states = None
        self.task_steps = np.zeros(len(self.mixture.tasks), np.int64)
        self._program = None
        self._evolution = None

    @property
    def outer_step(self):
        """Outer steps done."""
        return self.generation * self.schedule.outer_steps

    def compile(self):
        """Builds and compiles what runs on the devices; done by `fit`."""
        if self._program is not None:
            return
        start = time.perf_counter()
        self._program = program = Program(
            self.strategy,
            self.rule,
            self.trainers.rule(self.rule),
            self.mixture,
            self.estimator,
            self.schedule.population,
            self.schedule.score_problems,
            self.schedule.outer_horizon,
        )
        self.inner_states = program.initial_states()
        self.members = self._random_members(0)
        self.memory = self.trainers.begin(self.members, self.members)
        self._evolution = Evolution(
            program,
            self.schedule,
            self.trainers,
            self.selection,
            self.mutation,
            self.seed,
        )
        program.compile(self.members)
        self.compile_seconds = time.perf_counter() - start

    def _random_members(self, number):
        """The random population `number`, not scored."""
        count = self.schedule.population
        ids = number * count + np.arange(count)
        thetas = [self.rule.init_theta((self.seed, int(i))) for i in ids]
        return Members.initial(
            np.stack([self.theta_vector.pack(theta) for theta in thetas]),
            self._program.outer_update.blank_slots(count),
            ids,
            len(self.mixture.tasks),
        )

    def fit(self, generations, callbacks=()):
        """Trains until `generations` are done.

        Args:
            generations: Total number, those before a resume included.
            callbacks: Keras callbacks; a generation is an epoch, so
                `on_epoch_end(generation, logs)` gets a row of the history.
                `trainer.stop_training = True` stops.

        Returns:
            The history.
        """
        check_generations(generations)
        self.compile()
        self.stop_training = False
        callbacks = keras.callbacks.CallbackList(
            list(callbacks), model=self, epochs=generations
        )
        callbacks.on_train_begin()
        if not self.history:
            self._begin(callbacks)
        while self.generation < generations and not self.stop_training:
            callbacks.on_epoch_begin(self.generation + 1)
            self._run_generation()
            callbacks.on_epoch_end(self.generation, self.history[-1])
        callbacks.on_train_end()
        return self.history

    def _begin(self, callbacks):
        """Chooses the members among random ones: row 0 of the history."""
        start = time.perf_counter()
        candidates = [
            self._evolution.score(self._random_members(i), 0)
            for i in range(self.schedule.candidates)
        ]
        self.members = candidates[0].best_of(*candidates[1:])
        self.memory = self.trainers.begin(candidates[0], self.members)
        self.seconds += time.perf_counter() - start
        # The row shows a population as drawn, not the choice from all.
        everyone = np.ones(self.schedule.population, bool)
        self._record(candidates[0], everyone, candidates[0].scores)
        callbacks.on_epoch_end(0, self.history[-1])

    def _run_generation(self):
        start = time.perf_counter()
        outcome = self._evolution.next(
            self.members, self.memory, self.inner_states, self.generation
        )
        self.members, self.memory = outcome.members, outcome.memory
        self.inner_states = outcome.inner_states
        self.task_steps = self.task_steps + outcome.task_steps
        self.last_generation = outcome.child_rows
        self.generation += 1
        self.seconds += time.perf_counter() - start
        self._record(self.members, outcome.accepted, outcome.losses)

    def _record(self, members, accepted, losses):
        # New problems are drawn at the beginning of the next generation.
        redraws = self._evolution.scoring(max(0, self.generation - 1))
        scorings = self.schedule.candidates + self.generation + redraws
        inner_steps = (
            self.outer_step * self._program.inner_steps_per_outer_step
            + scorings * self._program.inner_steps_per_scoring
        )
        clock = {
            "generation": self.generation,
            "outer_step": self.outer_step,
            "inner_steps": inner_steps,
            "seconds": self.seconds,
        }
        row = records.generation_row(clock, members, accepted, losses)
        names = [task.name for task in self.mixture.tasks]
        row |= records.task_columns(names, members, self.task_steps)
        self.history.append(row)

    def best_theta(self):
        """Theta of the best member, a dict of arrays."""
        return self.theta_vector.unpack_numpy(
            self.members.thetas[self.members.best]
        )

    def get_state(self):
        """Everything that changes in training, as a nest of arrays."""
        self.compile()
        gather = self._program.replicas.gather
        return {
            "generation": np.int64(self.generation),
            "seconds": np.float64(self.seconds),
            "memory": self.memory.copy(),
            "members": vars(self.members).copy(),
            "inner_states": [gather(state) for state in self.inner_states],
            "task_steps": self.task_steps,
        }

    def set_state(self, state, history):
        """Continues from what `get_state` returned and its history."""
        self.compile()
        self.generation = int(state["generation"])
        self.seconds = float(state["seconds"])
        self.memory = {k: np.asarray(v) for k, v in state["memory"].items()}
        self.members = Members(**state["members"])
        scatter = self._program.replicas.scatter
        self.inner_states = [scatter(part) for part in state["inner_states"]]
        self.task_steps = np.asarray(state["task_steps"])
        self.history = list(history)

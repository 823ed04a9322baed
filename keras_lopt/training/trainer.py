"""Self-training of a population of learned optimizers.

After Metz, Freeman, Maheswaranathan, Sohl-Dickstein 2021, "Training Learned
Optimizers with Randomly Initialized Learned Optimizers" (arXiv 2101.07367).
The paper does not say who trains whom, how long a generation is, or what is
mutated: here these are settings.
"""

import concurrent.futures
import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf

from keras_lopt.population import (
    Elitist,
    LogNormal,
    Members,
    SelfTraining,
)
from keras_lopt.rules import ThetaVector
from keras_lopt.training.program import Program


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How often things happen, and how many of them there are.

    Args:
        population: Number of members, p.
        outer_steps: Outer steps a generation.
        score_problems: Whole problems that a member is scored on.
        redraw_every: Generations after which the scoring problems are drawn
            anew and everyone is scored again.
    """

    population: int = 8
    outer_steps: int = 25
    score_problems: int = 16
    redraw_every: int = 20

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{field.name}` must be an integer >= 1. "
                    f"Received: {field.name}={value!r}"
                )


class PopulationTrainer:
    """Trains a population; in self-training by its own members.

    A generation: every member draws a trainer; the worst start from copies of
    the best; each takes K outer steps (a meta-gradient, applied by its
    trainer's rule); children are scored on held-out problems; selection
    decides which children take their parents' places.

    Args:
        rule: The members' `rules.Rule`.
        task: A `tasks.Task`.
        estimator: An `estimators.Estimator`.
        schedule: A `Schedule`.
        trainers: A `population.Trainers`: who trains whom.
        selection: A `population.Selection`.
        mutation: Of the update multipliers, e.g. `population.LogNormal`.
        strategy: A tf.distribute strategy; default: the current one.
        seed: Integer. The same seed gives the same history, bit for bit, on
            one machine and the same number of replicas.

    Attributes:
        members: `population.Members`.
        generation: Generations done.
        history: List of dicts, one a generation, the first before any.
        last_generation: Who trained whom in it, a list of dicts.
        compile_seconds: Time that tracing and compilation took.
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
        self.task = task
        self.estimator = estimator
        self.schedule = schedule or Schedule()
        self.trainers = trainers or SelfTraining()
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
        self.initial_thetas = np.stack(
            [
                self.theta_vector.pack(rule.init_theta((seed, i)))
                for i in range(self.schedule.population)
            ]
        )
        self.members = None
        self.inner_state = None
        self._program = None

    @property
    def outer_step(self):
        """Outer steps done."""
        return self.generation * self.schedule.outer_steps

    def compile(self):
        """Builds and compiles what runs on the devices; done by `fit`."""
        if self._program is not None:
            return
        start = time.perf_counter()
        trainer_rule = self.trainers.rule(self.rule)
        self._program = program = Program(
            self.strategy,
            self.rule,
            trainer_rule,
            self.task,
            self.estimator,
            self.schedule.population,
            self.schedule.score_problems,
        )
        self._start_population()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            # Pure functions: their results are thrown away.
            zeros = np.zeros(self.schedule.population)
            trainer_size = program.outer_update.trainer_vector.size
            trained = pool.submit(
                self._outer_steps,
                self.members,
                np.zeros([len(zeros), trainer_size], np.float32),
                self.inner_state,
                1,
            )
            scored = pool.submit(self._score, self.initial_thetas, 0)
            trained.result(), scored.result()
        self.compile_seconds = time.perf_counter() - start

    def _start_population(self):
        count = self.schedule.population
        unknown = np.full(count, np.inf)
        self.members = Members(
            thetas=self.initial_thetas,
            slots=self._program.outer_update.blank_slots(count),
            slot_steps=np.zeros(count, np.int32),
            multipliers=np.ones(count),
            scores=unknown,
            train_losses=unknown,
            ids=np.arange(count),
            parents=np.full(count, -1),
        )
        self.inner_state = self._program.initial_state()

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
        if not isinstance(generations, int) or generations < 0:
            raise ValueError(
                "`generations` must be an integer >= 0. "
                f"Received: generations={generations!r}"
            )
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
            start = time.perf_counter()
            accepted, losses = self._run_generation()
            self.seconds += time.perf_counter() - start
            self._record(accepted, losses)
            callbacks.on_epoch_end(self.generation, self.history[-1])
        callbacks.on_train_end()
        return self.history

    def _begin(self, callbacks):
        """Scores the random population: row 0 of the history."""
        start = time.perf_counter()
        scores, train_losses = self._score(self.members.thetas, 0)
        self.members.scores, self.members.train_losses = scores, train_losses
        self.seconds += time.perf_counter() - start
        self._record(np.ones(len(scores), bool), scores)
        callbacks.on_epoch_end(0, self.history[-1])

    def _run_generation(self):
        """One generation. Returns who was accepted and the outer losses."""
        rng = np.random.default_rng((self.seed, self.generation))
        if self.generation and not self.generation % self.schedule.redraw_every:
            members = self.members
            members.scores, members.train_losses = self._score(
                members.thetas, self._scoring
            )
        members = self.members
        count = len(members.ids)
        trainers, drawn = self.trainers.draw(
            members.thetas, members.scores, self.initial_thetas, rng
        )
        sources = self.selection.sources(members.scores, rng)
        children = members.take(sources)
        children.parents = members.ids[sources]
        children.ids = (self.generation + 1) * count + np.arange(count)
        children.multipliers = self.mutation.mutate(children.multipliers, rng)
        if not self.trainers.keeps_slots:
            children.slot_steps = np.zeros(count, np.int32)
        state = self.inner_state
        if not np.array_equal(sources, np.arange(count)):
            state = self._program.copy_members(state, tf.constant(sources))
        children, losses, self.inner_state = self._outer_steps(
            children, trainers, state, self.schedule.outer_steps
        )
        children.scores, children.train_losses = self._score(
            children.thetas, self._scoring
        )
        accepted = self.selection.accepted(members.scores, children.scores)
        self._record_members(children, drawn, accepted)
        self.members = members.replace_where(accepted, children)
        self.generation += 1
        return accepted, losses

    @property
    def _scoring(self):
        """Number of the set of scoring problems in use."""
        return self.generation // self.schedule.redraw_every

    def _outer_steps(self, members, trainers, state, count):
        """`count` outer steps: members, last outer losses, inner state."""
        program = self._program
        trained = program.on_replicas(
            (members.thetas, members.slots, members.slot_steps)
        )
        trainers = (
            tf.constant(trainers),
            tf.constant(members.multipliers, tf.float32),
        )
        for i in range(count):
            seed = tf.random.experimental.stateless_fold_in(
                [self.seed, 0], self.outer_step + i
            )
            trained, losses, state = program.outer_step(
                *trained, trainers, state, seed
            )
        thetas, slots, slot_steps = program.one(trained)
        members = dataclasses.replace(
            members, thetas=thetas, slots=slots, slot_steps=slot_steps
        )
        return members, program.one(losses), state

    def _score(self, thetas, scoring):
        """Held-out and training losses [p] on scoring problems `scoring`."""
        seed = tf.random.experimental.stateless_fold_in([self.seed, 1], scoring)
        return self._program.one(self._program.score(tf.constant(thetas), seed))

    def _record(self, accepted, losses):
        members, program = self.members, self._program
        best = members.best
        scorings = self.generation + 1 + self._scoring
        inner_steps = (
            self.outer_step * program.inner_steps_per_outer_step
            + scorings * program.inner_steps_per_scoring
        )
        self.history.append(
            {
                "generation": self.generation,
                "outer_step": self.outer_step,
                "best_score": float(members.scores[best]),
                "median_score": float(np.median(members.scores)),
                "worst_score": float(np.max(members.scores)),
                "best_train_loss": float(members.train_losses[best]),
                "accepted_fraction": float(np.mean(accepted)),
                "mean_outer_loss": float(np.mean(losses)),
                "best_multiplier": float(members.multipliers[best]),
                "best_id": int(members.ids[best]),
                "inner_steps": int(inner_steps),
                "inner_steps_per_second": inner_steps / self.seconds,
                "seconds": self.seconds,
            }
        )

    def _record_members(self, children, drawn, accepted):
        ids = self.members.ids
        self.last_generation = [
            {
                "generation": self.generation + 1,
                "id": int(children.ids[i]),
                "parent": int(children.parents[i]),
                "trainer": int(ids[drawn[i]]) if drawn[i] >= 0 else -1,
                "multiplier": float(children.multipliers[i]),
                "score": float(children.scores[i]),
                "accepted": int(accepted[i]),
            }
            for i in range(len(ids))
        ]

    def best_theta(self):
        """Theta of the best member, a dict of arrays."""
        return self.theta_vector.unpack_numpy(
            self.members.thetas[self.members.best]
        )

    def get_state(self):
        """Everything that changes in training, as a nest of arrays."""
        self.compile()
        return {
            "generation": np.int64(self.generation),
            "seconds": np.float64(self.seconds),
            "initial_thetas": self.initial_thetas,
            "members": vars(self.members).copy(),
            "inner_state": self._program.gather_state(self.inner_state),
        }

    def set_state(self, state, history):
        """Continues from what `get_state` returned and its history."""
        self.compile()
        self.generation = int(state["generation"])
        self.seconds = float(state["seconds"])
        self.initial_thetas = np.asarray(state["initial_thetas"])
        self.members = Members(**state["members"])
        self.inner_state = self._program.scatter_state(state["inner_state"])
        self.history = list(history)

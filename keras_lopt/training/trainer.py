"""Self-training of a population of learned optimizers.

After Metz, Freeman, Maheswaranathan, Sohl-Dickstein 2021, "Training Learned
Optimizers with Randomly Initialized Learned Optimizers" (arXiv 2101.07367).
Who teaches whom, how long a generation is and what is mutated are settings.
"""

import contextlib
import functools
import time

import keras
import numpy as np
import tensorflow as tf

from keras_lopt.checks import check_choice
from keras_lopt.training.devices import Replicas, Workers, devices_of
from keras_lopt.training.generation import next_generation
from keras_lopt.training.output import records
from keras_lopt.training.output.progress import Progress, Waiting
from keras_lopt.training.schedule import check_generations
from keras_lopt.training.scoring import scored
from keras_lopt.training.state import PopulationState, random_members


class PopulationTrainer:
    """Trains a population; in self-training by its own members.

    A generation: every member draws a teacher; the worst start from copies of
    the best; each takes K outer steps (a meta-gradient, applied by its
    teacher's rule); children are scored on held-out problems; selection
    decides which children take their parents' places.

    Args:
        experiment: An `Experiment`.
        strategy: A tf.distribute strategy; default: the current one.

    Attributes:
        devices: `Devices` that training runs on. None before `compile`.
        state: `PopulationState`: where training is. None before `compile`.
        child_rows: Who taught whom in the last generation, a list of dicts.
        compile_seconds: Time that tracing and compilation took.
        stop_training: Set to True by a callback to stop; with several workers,
            by any worker's.

    >>> from keras_lopt import estimators, rules, tasks, training
    >>> experiment = training.Experiment(
    ...     rule=rules.get("fused", hidden_units=1, hidden_layers=1),
    ...     task=tasks.digits_mlp(size=4, hidden=(2,), batch_size=2),
    ...     estimator=estimators.PES(
    ...         pairs=2, horizon=4, truncation=2, outer_split="outer_valid"
    ...     ),
    ...     schedule=training.Schedule(
    ...         population=4, outer_steps=2, score_problems=1
    ...     ),
    ... )
    >>> trainer = training.PopulationTrainer(experiment)
    >>> history = trainer.fit(generations=1, verbose=0)
    >>> last = history[-1]
    >>> last["outer_step"], sorted(trainer.best_theta())
    (2, ['b0', 'b1', 'w0', 'w1'])
    """

    def __init__(self, experiment, strategy=None):
        self.experiment = experiment
        self.strategy = strategy
        self.devices = None
        self.state = None
        self.child_rows = []
        self.compile_seconds = 0.0
        self.stop_training = False

    @functools.cached_property
    def workers(self):
        """`devices.Workers`: the processes that train together."""
        strategy = self.strategy or tf.distribute.get_strategy()
        return Workers(Replicas(strategy))

    @functools.cached_property
    def exchange(self):
        """What each replica exchanges per outer step: columns of the history.

        It is measured once, for which all processes have to ask for it.
        """
        return self.workers.exchange(self.experiment.bytes_per_outer_step)

    @property
    def members(self):
        """`population.Members`."""
        return self.state.members

    @property
    def generation(self):
        """Generations done."""
        return self.state.generation if self.state else 0

    @property
    def outer_step(self):
        """Outer steps done."""
        return self.generation * self.experiment.schedule.outer_steps

    @property
    def history(self):
        """List of dicts, one per generation, after one from before training."""
        return self.state.history if self.state else []

    def compile(self):
        """Builds and compiles what runs on the devices; done by `fit`."""
        if self.devices is not None:
            return
        start = time.perf_counter()
        _ = self.exchange
        self.devices = devices_of(self.experiment, self.strategy)
        self.state = PopulationState.initial(self.experiment, self.devices)
        self.devices.compile(self.members)
        self.compile_seconds = time.perf_counter() - start

    def fit(self, generations, callbacks=(), verbose="auto"):
        """Trains until `generations` are done.

        Args:
            generations: Total number, those before a resume included.
            callbacks: Keras callbacks; a generation is an epoch, so
                `on_epoch_end(generation, logs)` gets a row of the history.
                `trainer.stop_training = True` stops. While candidates of
                the first members are scored, each is a batch.
            verbose: "auto" shows progress, unless a `training.Progress` is
                among the callbacks; 0 shows nothing.

        Returns:
            The history.
        """
        check_generations(generations)
        check_choice("verbose", verbose, ("auto", 0, 1))
        callbacks = list(callbacks)
        with contextlib.ExitStack() as stack:
            if verbose and self.devices is None:
                stack.enter_context(Waiting("compiling"))
            self.compile()
        if verbose and not any(isinstance(c, Progress) for c in callbacks):
            callbacks.append(Progress())
        self.stop_training = False
        callbacks = keras.callbacks.CallbackList(
            callbacks, model=self, epochs=generations
        )
        callbacks.on_train_begin()
        if not self.history:
            self._choose_members(callbacks)
            callbacks.on_epoch_end(0, self.history[-1])
        while self._goes_on(generations):
            callbacks.on_epoch_begin(self.generation + 1)
            self._run_generation()
            callbacks.on_epoch_end(self.generation, self.history[-1])
        callbacks.on_train_end()
        return self.history

    def _goes_on(self, generations):
        """Whether there is another generation: all workers agree on it."""
        if self.generation >= generations:
            return False
        self.workers.check_members(self.members)
        self.stop_training = self.workers.any_wants(self.stop_training)
        return not self.stop_training

    def _choose_members(self, callbacks):
        """Chooses the members among random ones: row 0 of the history."""
        start, experiment = time.perf_counter(), self.experiment
        candidates = []
        for i in range(experiment.schedule.candidates):
            members = random_members(experiment, i)
            candidates.append(scored(experiment, self.devices, members, 0))
            callbacks.on_train_batch_end(i)
        members = candidates[0].best_of(*candidates[1:])
        memory = experiment.teachers.begin(candidates[0], members)
        self.state = self.state.replace(members=members, memory=memory)
        # The row shows a population as drawn, not the choice from all.
        everyone = np.ones(len(members.ids), bool)
        self._record(start, candidates[0], everyone, candidates[0].scores)

    def _run_generation(self):
        start = time.perf_counter()
        self.state, report = next_generation(
            self.experiment, self.devices, self.state
        )
        self.child_rows = records.child_rows(self.generation, report)
        children = [*self.state.children, records.packed(self.child_rows)]
        self.state = self.state.replace(children=children)
        self._record(start, self.members, report.accepted, report.losses)

    def _record(self, start, members, accepted, losses):
        """Adds a generation's time and its row."""
        state = self.state
        seconds = state.seconds + time.perf_counter() - start
        self.state = state.replace(seconds=seconds)
        row = records.generation_row(
            self.experiment, self.state, members, accepted, losses
        )
        row |= self.exchange
        self.state = self.state.replace(
            history=[*state.history, row],
            best=records.best_record(self.experiment, self.state),
        )

    def best_theta(self):
        """Theta of the best member, a dict of arrays."""
        best = self.members.averages[self.members.best]
        return self.experiment.theta_vector.unpack_numpy(best)

"""The cost of meta-training: inner steps per second, and where time goes."""

import dataclasses
import os
import time
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from keras_lopt import estimators, population, rules, training
from keras_lopt.evaluation import tables
from keras_lopt.tasks import Task

#: The reference of the shares: a rule that costs next to nothing.
CHEAPEST = "sgd"
PARTS = ("gradient", "rule", "random", "data", "overhead")
COLUMNS = (
    ("task", "{}", 24),
    ("rule_name", "{}", 12),
    ("cores", "{}", 5),
    ("steps_per_cpu_second", "{:,.0f}", 20),
    ("steps_per_second", "{:,.0f}", 16),
    *((f"share_of_{part}", "{:.0%}", 18) for part in PARTS),
    ("compile_seconds", "{:.1f}", 15),
)


@dataclasses.dataclass
class Clock:
    """Seconds per call: wall time, and CPU time of all threads."""

    function: Any
    wall: list = dataclasses.field(default_factory=list)
    cpu: list = dataclasses.field(default_factory=list)

    def __call__(self):
        wall, cpu = time.perf_counter(), time.process_time()
        _wait(self.function())
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


@dataclasses.dataclass
class MetaCase:
    """Outer steps of one member by a rule on a task."""

    task: Task
    rule_name: str
    estimator: estimators.Estimator
    compile_seconds: float = 0.0

    seed: ClassVar[tuple[int, int]] = (0, 1)

    def compile(self, strategy):
        """Compiles the outer step, and what its parts are told from."""
        start = time.process_time()
        rule = rules.get(self.rule_name)
        experiment = training.Experiment(
            rule=rule,
            task=self.task,
            estimator=self.estimator,
            schedule=training.Schedule(population=1, score_problems=1),
            teachers=population.SelfTraining(antisymmetric=False),
        )
        devices = training.Devices(experiment, strategy)
        begun = training.PopulationState.initial(experiment, devices)
        member, (state,) = begun.members, begun.inner_states
        trained = devices.replicas.broadcast(
            (member.thetas, member.averages, member.slots, member.slot_steps)
        )
        teachers = tf.constant(member.thetas), tf.zeros([1])
        (task,), seed = devices.tasks, tf.constant(self.seed)

        def outer_step():
            grads, losses, _ = task.estimate(
                trained[0], state, seed, tf.constant(0)
            )
            _, losses = devices.update(*trained, teachers, [grads], [losses])
            return strategy.experimental_local_results(losses)

        self.cores = devices.replicas.parallel_calls
        self.inner_steps = experiment.inner_steps_per_outer_step
        self.clocks = {"all": Clock(outer_step)}
        if self.cores == 1:
            self.clocks |= self._parts(rule)
        for clock in self.clocks.values():
            _wait(clock.function())
        self.compile_seconds = time.process_time() - start

    def _parts(self, rule):
        """Clocks of an outer step's parts, on one core."""
        estimator, seed = self.estimator, tf.constant(self.seed)
        cheapest = rules.get(CHEAPEST)
        run = estimator.inner_run(rule, self.task)
        state = estimator.initial_state(run, 1, estimator.pairs, 0)
        draw = training.compiled(
            lambda state, seed: estimator.draw(state, seed, 0), state, seed
        )
        problems, _ = draw(state, seed)
        seeds, horizons = problems.seeds, problems.horizons

        def batches():
            return run.draw_batches(seeds, state.steps, estimator.outer_split)

        return {
            "random": Clock(lambda: draw(state, seed)),
            "data": Clock(tf.function(batches, autograph=False)),
            "with_rule": Clock(
                self._inner_run(rule, seeds, batches(), horizons)
            ),
            "gradient": Clock(
                self._inner_run(cheapest, seeds, batches(), horizons)
            ),
        }

    def _inner_run(self, rule, seeds, batches, horizons):
        run = self.estimator.inner_run(rule, self.task)
        pairs = self.estimator.pairs
        theta = run.theta_vector.pack(rule.init_theta(0))
        args = (
            tf.constant(np.tile(theta, [2 * pairs, 1])),
            run.blank_states(2 * pairs),
            seeds,
            tf.zeros([pairs], tf.int32),
            tf.repeat(tf.range(pairs), 2),
            batches,
            horizons,
        )
        advance = training.compiled(run.advance, *args)
        return lambda: advance(*args)

    def row(self):
        """The measurements: medians of CPU time, the fastest wall time."""
        whole = self.clocks["all"]
        row = {
            "task": self.task.name,
            "rule_name": self.rule_name,
            "cores": self.cores,
            "steps_per_cpu_second": self.inner_steps / np.median(whole.cpu),
            "steps_per_second": self.inner_steps / min(whole.wall),
            "compile_seconds": self.compile_seconds,
            "inner_steps": self.inner_steps,
        }
        return row | {f"share_of_{k}": v for k, v in self._shares().items()}

    def _shares(self):
        if self.cores > 1:
            return dict.fromkeys(PARTS)
        cpu = {k: np.array(clock.cpu) for k, clock in self.clocks.items()}
        parts = {k: cpu[k] for k in ("gradient", "random", "data")}
        parts["rule"] = cpu["with_rule"] - cpu["gradient"]
        parts["overhead"] = cpu["all"] - sum(parts.values())
        return {k: float(np.median(parts[k] / cpu["all"])) for k in PARTS}


def benchmark_meta(
    out_dir,
    *,
    tasks,
    rule_names=("fused", "adafac_mlp"),
    estimator=None,
    repeats=7,
    whole_loops=False,
):
    """Prints a table of the cost of outer steps; writes meta_cost.json.

    An outer step is one meta-gradient of one member and its update. The rules
    take turns, so that a busy machine slows all of them alike. All cores of
    this process are used, as in training. With one core (start the process
    with `taskset -c 0`) the shares of the parts are measured as well.

    Args:
        out_dir: Folder for the results.
        tasks: Functions that return a `tasks.Task`.
        rule_names: Names of registered rules.
        estimator: An `estimators.Estimator`; default: ES with 8 pairs and
            runs of 20 steps.
        repeats: Number of measurements.
        whole_loops: As for `training.make_strategy`.

    Returns:
        List of dicts, the rows.
    """
    estimator = estimator or estimators.ES(pairs=8, horizon=20)
    strategy = training.make_strategy("cpu", whole_loops)
    os.makedirs(out_dir, exist_ok=True)
    work = _work(estimator)
    print(work)
    print(tables.title(COLUMNS))
    rows = []
    for make_task in tasks:
        task = make_task()
        cases = [MetaCase(task, name, estimator) for name in rule_names]
        for case in cases:
            case.compile(strategy)
        for _ in range(repeats):
            for case in cases:
                for clock in case.clocks.values():
                    clock()
        for case in cases:
            rows.append(case.row())
            print(tables.line(COLUMNS, rows[-1]), flush=True)
    tables.write(os.path.join(out_dir, "meta_cost.json"), work, rows)
    return rows


def _wait(nest):
    for leaf in tf.nest.flatten(nest):
        leaf.numpy()


def _work(estimator):
    return (
        f"An outer step: {type(estimator).__name__} {vars(estimator)}, one "
        "member that is its own teacher. Inner steps per second of CPU time "
        "of all threads (median) and of wall time (fastest call). On one "
        "core, shares of CPU time: gradient is an inner run with the rule "
        f"{CHEAPEST!r}, including the models' initial values; overhead is the "
        "rest."
    )

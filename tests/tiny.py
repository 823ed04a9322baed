"""The smallest experiments that train, for the tests of training.

Compilation is what such a test takes its time for: a program is compiled once
and shared by all trainers of the same rules, task, estimator and sizes.
"""

import contextlib
import functools
import json
import os
import pathlib
from unittest import mock

import tensorflow as tf

from keras_lopt import config, estimators, rules, tasks, training
from keras_lopt.training import PopulationTrainer, Schedule
from keras_lopt.training.program import Program

RULE = rules.get("fused", hidden_units=1, hidden_layers=1)
#: Two pairs that end at different times.
ESTIMATOR = estimators.PES(
    pairs=2, horizon=4, truncation=2, outer_split="outer_valid"
)
SCHEDULE = Schedule(
    population=4, candidates=2, outer_steps=1, score_problems=1, redraw_every=3
)
#: What makes a shipped experiment small, but for its tasks and population.
SMALL = (
    "rules.FusedRule.hidden_units = 1",
    "rules.FusedRule.hidden_layers = 1",
    "estimators.PES.pairs = 2",
    "estimators.PES.horizon = 4",
    "estimators.PES.truncation = 2",
    "training.Schedule.candidates = 2",
    "training.Schedule.outer_steps = 1",
    "training.Schedule.score_problems = 1",
)
#: What makes one on digits the one above, but for its population.
BINDINGS = (
    *SMALL,
    "tasks.digits_mlp.size = 4",
    "tasks.digits_mlp.hidden = (2,)",
    "tasks.digits_mlp.batch_size = 2",
)
#: What makes one on a mixture small: both of its programs are one.
MIXTURE = (*SMALL, "training.Schedule.score_problems = 4")
POPULATION = "training.Schedule.population = 4"
CONFIGS = pathlib.Path(__file__).parents[1] / "gin_configs"

_programs = {}


@functools.cache
def task():
    """4x4 digits, MLP 16-2-10, batch 2."""
    return tasks.digits_mlp(size=4, hidden=(2,), batch_size=2)


def _shared_program(*args):
    """As `Program(*args)`; the same one for equal arguments."""
    key = _key(*args)
    if key not in _programs:
        _programs[key] = Program(*args)
    return _programs[key]


def _new_program(*args):
    """A new `Program(*args)`, shared from now on."""
    _programs[_key(*args)] = program = Program(*args)
    return program


def _key(strategy, rule, trainer_rule, mixture, *settings):
    replicas = strategy.num_replicas_in_sync
    tasks = json.dumps(mixture.describe())
    return (replicas, rule, trainer_rule, tasks, *settings)


@contextlib.contextmanager
def sharing_programs(anew=False):
    """In this context trainers share what they compile.

    Args:
        anew: Whether to compile even what is there.
    """
    factory = _new_program if anew else _shared_program
    with (
        mock.patch("keras_lopt.training.trainer.Program", factory),
        mock.patch.dict(os.environ),  # `make_strategy` sets XLA's flags.
    ):
        yield


def trainer(**changes):
    """A compiled `PopulationTrainer` of the experiment above.

    Args:
        **changes: Arguments of the trainer that differ.
    """
    settings = {
        "rule": RULE,
        "task": task(),
        "estimator": ESTIMATOR,
        "schedule": SCHEDULE,
        "strategy": tf.distribute.OneDeviceStrategy("/cpu:0"),
    }
    made = PopulationTrainer(**{**settings, **changes})
    with sharing_programs():
        made.compile()
    return made


def run_config(gin_file, out_dir, anew=False):
    """Runs a shipped experiment, made tiny, for one generation.

    Args:
        gin_file: Name of a file of gin_configs/.
        out_dir: Folder of the run.
        anew: As for `sharing_programs`.

    Returns:
        Its `PopulationTrainer`.
    """
    small = MIXTURE if gin_file == "mixture.gin" else BINDINGS
    bindings = [*small, "training.run.generations = 1"]
    if gin_file != "population_one.gin":
        bindings.append(POPULATION)
    config.load([gin_file], bindings, str(CONFIGS))
    with sharing_programs(anew):
        return config.call(training.run, str(out_dir), "cpu")


def without_clock(rows):
    """Rows of a history without what depends on the machine's speed."""
    clock = {"seconds", "inner_steps_per_second"}
    return [{k: v for k, v in row.items() if k not in clock} for row in rows]


def leaves(state):
    """Bytes, type and shape of all of a trainer's state but its clock."""
    state = {key: value for key, value in state.items() if key != "seconds"}
    return [
        (leaf.tobytes(), leaf.dtype, leaf.shape)
        for leaf in tf.nest.flatten(state)
    ]

"""The smallest experiments that train, for the tests of training.

Such a test spends its time on compilation. The tests of a session share what
they compile (tests/conftest.py): like experiments are compiled once.
"""

import contextlib
import functools
import os
import pathlib
from unittest import mock

import tensorflow as tf

from keras_lopt import config, estimators, rules, tasks, training
from keras_lopt.training import Experiment, PopulationTrainer, Schedule

RULE = rules.get("fused", hidden_units=1, hidden_layers=1)
#: Two pairs that end at different times.
ESTIMATOR = estimators.PES(
    pairs=2, horizon=4, truncation=2, outer_split="outer_valid"
)
SCHEDULE = Schedule(
    population=4, candidates=2, outer_steps=1, score_problems=1, redraw_every=3
)
#: Makes a shipped experiment small, except for its tasks and population.
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
#: Makes an experiment on digits the one above, except for its population.
BINDINGS = (
    *SMALL,
    "tasks.digits_mlp.size = 4",
    "tasks.digits_mlp.hidden = (2,)",
    "tasks.digits_mlp.batch_size = 2",
)
#: The same for quickstart.gin.
QUICKSTART = (
    "rules.ScaleFreeRule.hidden_units = 1",
    "rules.ScaleFreeRule.step_hidden_units = 1",
    "estimators.NRES.pairs = 2",
    "estimators.NRES.truncation = 2",
    "estimators.LogUniform.low = 2",
    "estimators.LogUniform.high = 4",
    "training.Schedule.candidates = 2",
    "training.Schedule.outer_steps = 1",
    "training.Schedule.score_problems = 4",
    "training.Schedule.score_horizons = (4,)",
    "training.Schedule.hidden_score_horizons = (4,)",
    *BINDINGS[-3:],
)
#: Makes mixture.gin small; estimates and scoring share one compiled program.
MIXTURE = (*SMALL, "training.Schedule.score_problems = 4")
POPULATION = "training.Schedule.population = 4"
CONFIGS = pathlib.Path(__file__).parents[1] / "gin_configs"


@functools.cache
def task():
    """4x4 digits, MLP 16-2-10, batch 2."""
    return tasks.digits_mlp(size=4, hidden=(2,), batch_size=2)


def experiment(**changes):
    """The `Experiment` above.

    Args:
        **changes: Arguments of `Experiment` that differ.
    """
    settings = {
        "rule": RULE,
        "task": task,
        "estimator": ESTIMATOR,
        "schedule": SCHEDULE,
    }
    return Experiment(**{**settings, **changes})


def trainer(**changes):
    """A compiled `PopulationTrainer` of the experiment above.

    Args:
        **changes: As for `experiment`.
    """
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    made = PopulationTrainer(experiment(**changes), strategy)
    made.compile()
    return made


@mock.patch.dict(os.environ)  # `make_strategy` sets XLA's flags.
def run(
    out_dir,
    generations=3,
    resume="auto",
    strategy="cpu",
    seed=0,
    seconds=None,
    snapshot_minutes=None,
    **changes,
):
    """`training.run` of the experiment above.

    Args:
        out_dir, generations, resume, strategy, seed, seconds,
            snapshot_minutes: As for `training.run`.
        **changes: As for `experiment`.
    """
    return training.run(
        str(out_dir),
        strategy,
        resume,
        experiment=functools.partial(experiment, **changes),
        generations=generations,
        seed=seed,
        seconds=seconds,
        snapshot_minutes=snapshot_minutes,
    )


@mock.patch.dict(os.environ)
def run_loaded(out_dir):
    """`training.run` as the gin configuration that was loaded says."""
    return config.call(training.run, str(out_dir), "cpu")


def run_config(gin_file, out_dir, anew=False):
    """Runs a shipped experiment, made tiny, for one generation.

    Args:
        gin_file: Name of a file of gin_configs/.
        out_dir: Folder of the run.
        anew: Whether to compile even what has been compiled before.

    Returns:
        Its `PopulationTrainer`.
    """
    own = {"mixture.gin": MIXTURE, "quickstart.gin": QUICKSTART}
    bindings = [*own.get(gin_file, BINDINGS), "training.run.generations = 1"]
    if gin_file != "population_one.gin":
        bindings.append(POPULATION)
    config.load([gin_file], bindings, str(CONFIGS))
    # A context of reuse begins with nothing to reuse.
    context = training.reuse_compiled() if anew else contextlib.nullcontext()
    with context:
        return run_loaded(out_dir)


def contents(folder):
    """Dict of path -> bytes of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def arrays(trainer):
    """All of a trainer's state but its history, as a nest of arrays."""
    return trainer.state.to_arrays(trainer.devices.replicas)


def without_clock(rows):
    """Rows of a history without what depends on the machine's speed."""
    clock = {"seconds", "inner_steps_per_second"}
    clock |= {"exchanged_bytes", "exchange_seconds"}
    return [{k: v for k, v in row.items() if k not in clock} for row in rows]


def leaves(arrays):
    """Bytes, type and shape of all arrays of a state but its clock."""
    arrays = {key: value for key, value in arrays.items() if key != "seconds"}
    return [
        (leaf.tobytes(), leaf.dtype, leaf.shape)
        for leaf in tf.nest.flatten(arrays)
    ]

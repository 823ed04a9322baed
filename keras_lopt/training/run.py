"""One experiment: what bin/train_population.py calls and gin configures."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable

import numpy as np

from keras_lopt import __version__, config, population
from keras_lopt.checks import check_integer, check_number
from keras_lopt.estimators import Estimator
from keras_lopt.rules import Rule
from keras_lopt.training import callbacks, settings
from keras_lopt.training.checkpointing import TrainingCheckpoint
from keras_lopt.training.replicas import Replicas
from keras_lopt.training.schedule import Schedule, check_generations
from keras_lopt.training.strategy import make_strategy
from keras_lopt.training.trainer import PopulationTrainer
from keras_lopt.training.whole_loops import warn_of_slow_tasks


def run(
    out_dir,
    strategy="auto",
    resume="auto",
    *,
    task,
    rule,
    estimator,
    generations,
    schedule=None,
    trainers=None,
    selection=None,
    mutation=None,
    seed=0,
    seconds=None,
    whole_loops=False,
):
    """Trains a population; continues where an earlier run in out_dir ended.

    Args:
        out_dir: Gets config.gin, operative_config.gin, experiment.json,
            history.csv, members.csv, best.safetensors, checkpoints/ and
            tensorboard/.
        strategy: As for `make_strategy`.
        resume: "auto" continues the experiment in out_dir if there is one;
            "never" starts again and keeps the old state beside the new.
        task: A function that builds a `tasks.Task` or a `tasks.Mixture` (it
            is called after the strategy has set up TensorFlow).
        rule: The members' `rules.Rule`.
        estimator: An `estimators.Estimator`.
        generations: Total number of generations.
        schedule, trainers, selection, mutation, seed: As for
            `PopulationTrainer`.
        seconds: Stop after this many seconds of training, or None.
        whole_loops: As for `make_strategy`.

    Returns:
        The `PopulationTrainer`, or None if nothing was left to do.

    Raises:
        ValueError: A setting that can't be used, or an out_dir with another
            experiment's state. Nothing is written then.
    """
    if resume not in ("auto", "never"):
        raise ValueError(
            f'`resume` must be "auto" or "never". Received: resume={resume!r}'
        )
    settings.check_folder(out_dir)
    check_generations(generations)
    check_integer("seed", seed, 0, 2**31 - 1)
    if seconds is not None:
        check_number("seconds", seconds, "[0, inf)")
    settings.check_objects(
        task=(task, Callable),
        rule=(rule, Rule),
        estimator=(estimator, Estimator),
        schedule=(schedule or Schedule(), Schedule),
        trainers=(trainers or population.League(), population.Trainers),
        selection=(selection or population.Elitist(), population.Selection),
        mutation=(mutation or population.NoMutation(), population.Mutation),
    )
    schedule = schedule or Schedule()
    trainer = PopulationTrainer(
        rule=rule,
        strategy=make_strategy(strategy, whole_loops),
        task=settings.build_mixture(task, estimator),
        estimator=estimator,
        schedule=schedule,
        trainers=trainers,
        selection=selection,
        mutation=mutation,
        seed=seed,
    )
    experiment = describe(trainer)
    checkpoint = TrainingCheckpoint(
        trainer, os.path.join(out_dir, "checkpoints")
    )
    _claim(out_dir, experiment, checkpoint, resume)
    if checkpoint.generation() >= generations:
        print(f"{out_dir} has all of {generations} generations", flush=True)
        return None
    if whole_loops:
        warn_of_slow_tasks(trainer.mixture)
    replicas = Replicas(trainer.strategy)
    print(
        f"{trainer.mixture.name}, rule {rule.name}, {schedule.population} "
        f"members, {replicas.count} replicas with up "
        f"to {replicas.parallel_calls} parallel calls: compiling ...",
        flush=True,
    )
    trainer.compile()
    print(f"compiled in {trainer.compile_seconds:.1f} s", flush=True)
    if checkpoint.restore():
        print(f"continues after generation {trainer.generation}", flush=True)
    trainer.fit(
        generations, _callbacks(out_dir, experiment, checkpoint, seconds)
    )
    _print_summary(trainer)
    return trainer


def _callbacks(out_dir, experiment, checkpoint, seconds):
    metadata = {
        "trained_by": f"keras_lopt {__version__}",
        "experiment": experiment,
    }
    # The state is saved last: what it says is done has been written.
    actions = [
        callbacks.CSVHistory(out_dir),
        callbacks.TensorBoard(os.path.join(out_dir, "tensorboard")),
        callbacks.BestMember(
            os.path.join(out_dir, "best.safetensors"), metadata
        ),
        callbacks.Checkpoint(checkpoint),
        callbacks.Progress(),
    ]
    if seconds is not None:
        actions.append(callbacks.TimeLimit(seconds))
    return actions


def describe(trainer):
    """What makes a run this experiment, as JSON types."""
    return {
        "rule": _describe(trainer.rule),
        "task": trainer.mixture.describe(),
        "estimator": _describe(trainer.estimator),
        "schedule": _describe(trainer.schedule),
        "trainers": _describe(trainer.trainers),
        "selection": _describe(trainer.selection),
        "mutation": _describe(trainer.mutation),
        "seed": trainer.seed,
    }


def _describe(value):
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        settings = {f.name: _describe(getattr(value, f.name)) for f in fields}
        return {"type": type(value).__name__, **settings}
    if isinstance(value, dict):
        return {key: _describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_describe(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _claim(out_dir, experiment, checkpoint, resume):
    """Makes out_dir this experiment's, or refuses."""
    path = os.path.join(out_dir, "experiment.json")
    if resume == "never":
        _set_aside(out_dir)
    elif os.path.exists(path) or checkpoint.exists():
        _check_same(path, experiment)
    os.makedirs(out_dir, exist_ok=True)
    _write(path, json.dumps(experiment, indent=2) + "\n")
    # All that is configured has been built by now: both are complete.
    for name, text in (
        ("config.gin", config.text()),
        ("operative_config.gin", config.operative_text()),
    ):
        _write(os.path.join(out_dir, name), text)


def _check_same(path, experiment):
    found = None
    if os.path.exists(path):
        with open(path) as file, contextlib.suppress(ValueError):
            found = json.load(file)
    wanted = json.loads(json.dumps(experiment))
    if found == wanted:
        return
    found = found if isinstance(found, dict) else {}  # Not written by a run.
    differing = [k for k in wanted if found.get(k) != wanted[k]]
    raise ValueError(
        f"`out_dir` {os.path.dirname(path)!r} has the state of another "
        f"experiment: {differing} differ. Nothing was written. Use another "
        "--out_dir, or --resume=never to start again (the old state is kept "
        "beside the new)"
    )


def _set_aside(out_dir):
    if not os.path.isdir(out_dir) or not os.listdir(out_dir):
        return
    number = 1
    while os.path.exists(old := f"{out_dir.rstrip(os.sep)}.old-{number}"):
        number += 1
    os.rename(out_dir, old)
    print(f"the earlier state is kept in {old}", flush=True)


def _write(path, content):
    temporary = f"{path}.tmp"
    with open(temporary, "w") as file:
        file.write(content)
    os.replace(temporary, path)


def _print_summary(trainer):
    last = trainer.history[-1]
    total = trainer.compile_seconds + last["seconds"]
    print(
        f"best score {last['best_score']:.4f} after {last['outer_step']} outer "
        f"steps; {last['inner_steps_per_second']:,.0f} inner steps/s; "
        f"{trainer.compile_seconds:.0f} s of {total:.0f} s "
        f"({trainer.compile_seconds / total:.0%}) were compilation",
        flush=True,
    )

"""One experiment: what bin/train_population.py calls and gin configures."""

import os

from keras_lopt import __version__, config
from keras_lopt.checks import check_number
from keras_lopt.training.devices import (
    Replicas,
    make_strategy,
    warn_of_slow_tasks,
)
from keras_lopt.training.experiment import Experiment
from keras_lopt.training.output import callbacks, folder
from keras_lopt.training.output.checkpoint import TrainingCheckpoint
from keras_lopt.training.output.progress import Waiting
from keras_lopt.training.schedule import check_generations
from keras_lopt.training.trainer import PopulationTrainer


def run(
    out_dir,
    strategy="auto",
    resume="auto",
    *,
    experiment,
    generations,
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
        experiment: A function of `seed` that makes an `Experiment`. It is
            called after the strategy has set up TensorFlow; in gin,
            `@training.Experiment`.
        generations: Total number of generations.
        seed: The experiment's.
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
    folder.check_folder(out_dir)
    check_generations(generations)
    if seconds is not None:
        check_number("seconds", seconds, "[0, inf)")
    strategy = make_strategy(strategy, whole_loops)
    experiment = _make(experiment, seed)
    trainer = PopulationTrainer(experiment, strategy)
    checkpoint = TrainingCheckpoint(
        trainer, os.path.join(out_dir, "checkpoints")
    )
    folder.claim(out_dir, experiment, checkpoint.exists(), resume)
    if checkpoint.generation() >= generations:
        print(f"{out_dir} has all of {generations} generations", flush=True)
        return None
    if whole_loops:
        warn_of_slow_tasks(experiment.mixture)
    replicas = Replicas(strategy)
    print(
        f"{experiment.mixture.name}, rule {experiment.rule.name}, "
        f"{experiment.schedule.population} members, {replicas.count} replicas "
        f"with up to {replicas.parallel_calls} parallel calls",
        flush=True,
    )
    print("compiling ...", flush=True)
    with Waiting("compiling"):
        trainer.compile()
    print(f"compiled in {trainer.compile_seconds:.1f} s", flush=True)
    if checkpoint.restore():
        print(f"continues after generation {trainer.generation}", flush=True)
    actions = _callbacks(out_dir, experiment, checkpoint, seconds)
    trainer.fit(generations, actions, verbose=0)
    _print_summary(trainer, out_dir)
    return trainer


def _make(experiment, seed):
    made = experiment(seed=seed) if callable(experiment) else None
    if not isinstance(made, Experiment):
        raise ValueError(
            "`experiment` must be a function of `seed` that returns a "
            f"`training.Experiment`. Received: experiment={experiment!r}; in "
            "gin, write `@training.Experiment`, no call"
        )
    return made


def _callbacks(out_dir, experiment, checkpoint, seconds):
    metadata = {
        "trained_by": f"keras_lopt {__version__}",
        "experiment": experiment.describe(),
    }
    # The state is saved last: what it counts as done has been written.
    actions = [
        callbacks.CSVHistory(out_dir),
        callbacks.TensorBoard(
            os.path.join(out_dir, "tensorboard"), config.operative_text()
        ),
        callbacks.BestMember(
            os.path.join(out_dir, "best.safetensors"), metadata
        ),
        callbacks.Checkpoint(checkpoint),
        callbacks.Progress(seconds=seconds),
    ]
    if seconds is not None:
        actions.append(callbacks.TimeLimit(seconds))
    return actions


def _print_summary(trainer, out_dir):
    last = trainer.history[-1]
    total = trainer.compile_seconds + last["seconds"]
    print(
        f"best score {last['best_score']:.4f} after {last['outer_step']} outer "
        f"steps; {last['inner_steps_per_second']:,.0f} inner steps/s; "
        f"{trainer.compile_seconds:.0f} s of {total:.0f} s "
        f"({trainer.compile_seconds / total:.0%}) were compilation\n"
        f"In {out_dir}:\n"
        "  best.safetensors  the best member; LearnedOptimizer."
        f"from_checkpoint({str(out_dir)!r})\n"
        "  history.csv       scores per generation; members.csv: who taught "
        "whom\n"
        "  tensorboard/      the same, for tensorboard --logdir\n"
        "Next, compare it with tuned Adam:\n"
        f"  keras-lopt evaluate --gin_file=evaluate_honest.gin "
        f"--run_dir={out_dir} --out_dir={os.path.join(out_dir, 'report')}",
        flush=True,
    )

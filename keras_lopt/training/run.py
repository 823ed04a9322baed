"""One experiment: what `keras-lopt train` calls and gin configures."""

import contextlib
import hashlib
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_lopt import __version__, config
from keras_lopt.checks import check_number
from keras_lopt.training import ends
from keras_lopt.training.devices import (
    Replicas,
    cluster,
    make_strategy,
    memory,
    warn_of_slow_tasks,
)
from keras_lopt.training.experiment import Experiment
from keras_lopt.training.output import (
    callbacks,
    files,
    folder,
    lock,
    manifest,
)
from keras_lopt.training.output.checkpoint import TrainingCheckpoint
from keras_lopt.training.output.progress import Progress, Waiting
from keras_lopt.training.schedule import check_generations
from keras_lopt.training.trainer import PopulationTrainer


def run(
    out_dir,
    strategy="auto",
    resume="auto",
    replicas=None,
    *,
    experiment,
    generations,
    seed=0,
    seconds=None,
    whole_loops=False,
    snapshot_minutes=None,
):
    """Trains a population; continues where an earlier run in out_dir ended.

    With several workers, all call this alike. The first one, the chief, reads
    and writes out_dir, prints, and says when to stop.

    Args:
        out_dir: Gets config.gin, operative_config.gin, experiment.json,
            history.csv, members.csv, best.safetensors, checkpoints/,
            tensorboard/, snapshots/ if there are any, and manifest.json with
            their checksums. A path for tf.io.gfile: a folder, or
            `gs://bucket/folder`. It belongs to one process while that trains
            (lock.json).
        strategy: As for `make_strategy`.
        resume: "auto" continues the experiment in out_dir if there is one;
            "never" starts again and keeps the old state beside the new.
        replicas: As for `make_strategy`.
        experiment: A function of `seed` that makes an `Experiment`. It is
            called after the strategy has set up TensorFlow; in gin,
            `@training.Experiment`.
        generations: Total number of generations.
        seed: The experiment's.
        seconds: Stop after this many seconds of training, or None.
        whole_loops: As for `make_strategy`.
        snapshot_minutes: Minutes of training between two files of the best
            member in snapshots/, from which `evaluation.choose` chooses; None:
            no snapshots.

    Returns:
        The `PopulationTrainer`, or None if nothing was left to do.

    Raises:
        ValueError: A setting that can't be used, or an out_dir with another
            experiment's state or another trainer. Nothing is written then.
        OSError: A file can't be written, or another worker has ended.
        SystemExit: SIGTERM or SIGINT has ended it, with a checkpoint.
    """
    if resume not in ("auto", "never"):
        raise ValueError(
            f'`resume` must be "auto" or "never". Received: resume={resume!r}'
        )
    check_generations(generations)
    if seconds is not None:
        check_number("seconds", seconds, "[0, inf)")
    if snapshot_minutes is not None:
        check_number("snapshot_minutes", snapshot_minutes, "(0, inf)")
    if strategy != "multi_worker":
        # Of several workers, only the chief may see it.
        folder.check_folder(out_dir)
    strategy = make_strategy(strategy, whole_loops, replicas)
    experiment = _make(experiment, seed)
    with cluster.lost_workers(strategy):
        trainer = PopulationTrainer(experiment, strategy)
        trainer.workers.check_same(
            {
                "experiment": experiment.describe(),
                "generations": generations,
                "resume": resume,
                "whole_loops": whole_loops,
                "code": _versions(),
            }
        )
        this = _Run(trainer, out_dir, generations, seconds, snapshot_minutes)
        return this.run(resume, whole_loops)


class _Run:
    """One call of `run`: a trainer, its folder, and when it ends."""

    def __init__(
        self, trainer, out_dir, generations, seconds, snapshot_minutes
    ):
        self.trainer = trainer
        self.out_dir = out_dir
        self.generations = generations
        self.seconds = seconds
        self.snapshot_minutes = snapshot_minutes
        self.checkpoint = TrainingCheckpoint(
            trainer, files.join(out_dir, "checkpoints")
        )
        self.lock = lock.FolderLock(out_dir)

    def run(self, resume, whole_loops):
        """As `run`."""
        trainer, workers = self.trainer, self.trainer.workers
        with ends.Signals(self.lock.release) as signals:
            try:
                done = workers.chief_does(lambda: self._claim(resume))
                if done >= self.generations:
                    self._say(
                        f"{self.out_dir} has all of {self.generations} "
                        "generations"
                    )
                    return None
                self._compile(whole_loops)
                if self.checkpoint.restore():
                    self._say(f"continues after generation {done}")
                signals.training = True
                trainer.fit(
                    self.generations, self._callbacks(signals), verbose=0
                )
                signals.training = False
                self._end(signals)
            finally:
                if workers.is_chief:
                    self.lock.release()
        return trainer

    def _say(self, line):
        if self.trainer.workers.is_chief:
            print(line, flush=True)

    def _claim(self, resume):
        """Makes the folder this run's, or refuses; generations done."""
        folder.check_folder(self.out_dir)
        description = self.trainer.experiment.describe()
        self.lock.check_free()
        if resume == "never":
            folder.set_aside(self.out_dir)
        folder.check_owner(
            self.out_dir, self.trainer.experiment, self.checkpoint.exists()
        )
        files.make_folder(self.out_dir)
        self.lock.acquire()
        folder.write_configuration(self.out_dir, description)
        return self.checkpoint.generation()

    def _compile(self, whole_loops):
        trainer, experiment = self.trainer, self.trainer.experiment
        if whole_loops:
            warn_of_slow_tasks(experiment.mixture)
        replicas = Replicas(trainer.strategy)
        self._say(
            f"{experiment.mixture.name}, rule {experiment.rule.name}, "
            f"{experiment.schedule.population} members, {replicas.count} "
            f"replicas with up to {replicas.parallel_calls} parallel calls"
        )
        if replicas.count > 1:
            sent = trainer.exchange["exchanged_bytes"]
            seconds = trainer.exchange["exchange_seconds"]
            self._say(
                f"each replica sends and receives {sent:,} bytes per outer "
                f"step: {1e3 * seconds:.2g} ms, if at once"
            )
        if not replicas.on_cpu:
            self._say(_memory_text(experiment, replicas.count))
        self._say("compiling ...")
        with contextlib.ExitStack() as stack:
            if trainer.workers.is_chief:
                stack.enter_context(Waiting("compiling"))
            trainer.compile()
        self._say(f"compiled in {trainer.compile_seconds:.1f} s")

    def _callbacks(self, signals):
        experiment, out_dir = self.trainer.experiment, self.out_dir
        end, save = ends.EndOnSignal(signals), callbacks.Checkpoint
        if not self.trainer.workers.is_chief:
            # All have a part of the state that is saved.
            return [save(self.checkpoint), end]
        metadata = {
            "trained_by": f"keras_lopt {__version__}",
            "experiment": experiment.describe(),
        }
        # The state is saved after what it counts as done, and the manifest
        # last.
        actions = [
            lock.KeepLock(self.lock),
            callbacks.CSVHistory(out_dir),
            callbacks.TensorBoard(
                files.join(out_dir, "tensorboard"),
                config.operative_text(),
            ),
            callbacks.BestMember(
                files.join(out_dir, "best.safetensors"), metadata
            ),
            *self._snapshots(metadata),
            save(self.checkpoint),
            manifest.Manifest(out_dir),
            Progress(seconds=self.seconds),
            end,
        ]
        if self.seconds is not None:
            actions.append(callbacks.TimeLimit(self.seconds))
        return actions

    def _snapshots(self, metadata):
        if self.snapshot_minutes is None:
            return []
        path = files.join(self.out_dir, "snapshots")
        return [callbacks.Snapshots(path, self.snapshot_minutes, metadata)]

    def _end(self, signals):
        trainer = self.trainer
        received = trainer.workers.all_have(int(signals.received or 0))
        if trainer.workers.is_chief:
            _print_summary(trainer, self.out_dir)
        if any(received) and trainer.generation < self.generations:
            name = ends.name(max(received))
            self._say(
                f"ended by {name} after generation {trainer.generation} of "
                f"{self.generations}; {ends.GO_ON}"
            )
            raise SystemExit(128 + max(received))


def _memory_text(experiment, replicas):
    needed = memory.estimated(experiment, replicas)
    states, step = (f"{count / 1e6:,.1f} MB" for count in needed)
    return (
        f"each replica needs about {states} for inner states, and up to {step} "
        "more for a step"
    )


def _versions():
    """What must be the same for workers to compute the same."""
    digest = hashlib.sha256()
    root = pathlib.Path(__file__).resolve().parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return {
        "keras_lopt": __version__,
        "source": digest.hexdigest()[:12],
        "python": sys.version.split()[0],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def _make(experiment, seed):
    made = experiment(seed=seed) if callable(experiment) else None
    if not isinstance(made, Experiment):
        raise ValueError(
            "`experiment` must be a function of `seed` that returns a "
            f"`training.Experiment`. Received: experiment={experiment!r}; in "
            "gin, write `@training.Experiment`, no call"
        )
    return made


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
        f"--run_dir={out_dir} --out_dir={files.join(out_dir, 'report')}",
        flush=True,
    )

#!/usr/bin/env python3
"""Kills a training run at random moments, resumes it, compares the results.

  python tests/benchmarks/kill_and_resume.py --kills=10 --seed=0

One run of an experiment (default: tiny.gin) is left alone; another gets
`kill -9` at random moments and is started again with --resume=auto each time.
Prints a table, and exits with 1 if anything but the clock differs at the end:
the best member's theta, the training state, the history, the ancestry.
"""

import argparse
import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLOCK = {"seconds", "inner_steps_per_second", "exchange_seconds"}
TIME_LIMIT = 1800.0  # seconds without a checkpoint


def start(out_dir, generations, bindings=(), gin_file="tiny.gin"):
    """Starts bin/train_population.py; its output goes to out_dir + ".log"."""
    command = [sys.executable, str(ROOT / "bin" / "train_population.py")]
    command += [f"--gin_file={gin_file}", f"--out_dir={out_dir}"]
    command += ["--strategy=cpu", "--resume=auto"]
    bindings = [*bindings, f"training.run.generations = {generations}"]
    command += [f"--gin={binding}" for binding in bindings]
    with open(f"{out_dir}.log", "a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def finish(process, out_dir):
    """Waits for a run; raises RuntimeError with its output if it failed."""
    if process.wait() != 0:
        log = pathlib.Path(f"{out_dir}.log").read_text()
        raise RuntimeError(f"exit code {process.returncode}:\n{log}")


def newest_checkpoint(out_dir):
    """Generation of the newest checkpoint; -1 if there is none."""
    folder = pathlib.Path(out_dir) / "checkpoints"
    numbers = [int(p.stem.split("-")[1]) for p in folder.glob("ckpt-*.index")]
    return max(numbers, default=-1)


def wait_for_checkpoint(process, out_dir, generation):
    """Waits for a checkpoint of `generation` or later; returns the seconds.

    Raises RuntimeError if the run ends before that, or takes too long.
    """
    begin = time.perf_counter()
    while newest_checkpoint(out_dir) < generation:
        if process.poll() is not None:
            finish(process, out_dir)
            raise RuntimeError(f"ended before generation {generation}")
        if time.perf_counter() - begin > TIME_LIMIT:
            process.kill()
            raise RuntimeError(f"no generation {generation} in {TIME_LIMIT} s")
        time.sleep(0.002)
    return time.perf_counter() - begin


def kill_in_generation(process, out_dir, generation, fraction):
    """Sends SIGKILL in the middle of a generation.

    Args:
        process: From `start`.
        out_dir: Its folder.
        generation: The run is killed after the checkpoint of this one.
        fraction: How much later, as a part of the time that this generation
            took.
    """
    wait_for_checkpoint(process, out_dir, generation - 1)
    seconds = wait_for_checkpoint(process, out_dir, generation)
    time.sleep(fraction * seconds)
    if process.poll() is not None:
        raise RuntimeError("ended before it was killed: use more generations")
    process.kill()
    process.wait()


def differences(out_dir, other):
    """What differs in the results of two runs, a list of descriptions."""
    found = []
    for name in ("history.csv", "members.csv"):
        ours, theirs = (_rows(pathlib.Path(d) / name) for d in (out_dir, other))
        if ours != theirs:
            found.append(f"{name}: {len(ours)} and {len(theirs)} rows")
    for describe, read in (("theta", _theta), ("state", _state)):
        ours, theirs = read(out_dir), read(other)
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                found.append(f"{describe} {key}")
    return found


def _rows(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


def _theta(out_dir):
    from keras_lopt import checkpoints

    _, theta, _ = checkpoints.load(out_dir)
    return {leaf: value.tobytes() for leaf, value in theta.items()}


def _state(out_dir):
    """Bytes of the arrays of the last checkpoint, except the clock."""
    import tensorflow as tf

    path = f"{out_dir}/checkpoints/ckpt-{newest_checkpoint(out_dir)}"
    reader = tf.train.load_checkpoint(path)
    types = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    return {
        name: np.asarray(reader.get_tensor(name)).tobytes()
        for name in types
        if name.startswith("state/")
        # The only float64 scalar is the trainer's seconds.
        and (types[name], shapes[name]) != (tf.float64, [])
    }


def killed_run(
    out_dir, generations, rng, kills, bindings=(), gin_file="tiny.gin"
):
    """Trains with `kills` interruptions; yields a row of the table per kill.

    Args:
        out_dir: Folder of the run.
        generations: Total number.
        rng: A `numpy.random.Generator`; chooses the moments.
        kills: Number of interruptions.
        bindings: Lines of gin.
        gin_file: The experiment.
    """
    moments = rng.choice(np.arange(1, generations - 1), kills, replace=False)
    for number, moment in enumerate(sorted(moments), start=1):
        process = start(out_dir, generations, bindings, gin_file)
        before = newest_checkpoint(out_dir)
        moment, fraction = max(int(moment), before + 1), rng.random()
        kill_in_generation(process, out_dir, moment, fraction)
        yield number, before, newest_checkpoint(out_dir), fraction
    finish(start(out_dir, generations, bindings, gin_file), out_dir)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gin_file", default="tiny.gin")
    parser.add_argument("--gin", action="append", default=[], help="binding")
    parser.add_argument(
        "--generations", type=int, help="default: 20 per kill and 20"
    )
    args = parser.parse_args()
    if args.kills < 1 or args.seed < 0:
        parser.error("--kills must be >= 1 and --seed >= 0")
    generations = args.generations or 20 * args.kills + 20
    if generations < 2 * args.kills + 2:
        parser.error("--generations must be at least 2 * kills + 2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = f"{folder}/whole", f"{folder}/killed"
        print(f"{generations} generations without interruption ...", flush=True)
        what = {"bindings": args.gin, "gin_file": args.gin_file}
        finish(start(whole, generations, **what), whole)
        print("kill  continued from  killed after  + of a generation")
        rng = np.random.default_rng(args.seed)
        for row in killed_run(killed, generations, rng, args.kills, **what):
            print("{:4d}  {:14d}  {:12d}  {:17.2f}".format(*row), flush=True)
        found = differences(killed, whole)
    for difference in found:
        print(f"differs: {difference}")
    print("FAILED" if found else "the same, bit for bit")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Trains for long, and watches what must not grow: memory, files, threads.

  python tests/benchmarks/soak.py --gin_file=tiny.gin --generations=300
  python tests/benchmarks/soak.py --gin_file=mixture.gin --generations=24

After each generation it reads the trainer's resident memory, open files and
threads from /proc (Linux). Prints a row per tenth of the run, and exits with 1
if memory after the first tenth differs by more than 2% from its median, or if
files or threads do. The throughput of the last fifth is that of the history,
in units of the first fifth's after the first generation.
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
INTERVAL = 0.05  # seconds
MOST_MEMORY = 0.02


def resources(pid):
    """Resident memory in MB, open files, threads of a process."""
    status = dict(
        line.split(":", 1)
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return int(status["VmRSS"].split()[0]) / 1024, files, int(status["Threads"])


def rows_of(path):
    """Rows of a history that may not be there yet."""
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def watch(gin_file, generations, bindings, out_dir):
    """Trains; resources after each generation [n, 3], and the history."""
    command = [sys.executable, str(ROOT / "bin" / "train_population.py")]
    command += [f"--gin_file={gin_file}", f"--out_dir={out_dir}"]
    bindings = [*bindings, f"training.run.generations = {generations}"]
    command += ["--strategy=cpu", *(f"--gin={b}" for b in bindings)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    history, found = pathlib.Path(out_dir, "history.csv"), []
    while process.poll() is None:
        time.sleep(INTERVAL)
        if len(rows_of(history)) > len(found) + 1:
            try:
                found.append(resources(process.pid))
            except (FileNotFoundError, ProcessLookupError, KeyError):
                break  # It ends.
    if process.wait():
        raise RuntimeError(f"exit code {process.returncode}")
    return np.array(found), rows_of(history)


def verdicts(found, rows):
    """What must hold, and whether it does."""
    memory, files, threads = found[len(found) // 10 :].T
    memory = memory / np.median(memory) - 1.0
    speeds = [float(row["inner_steps_per_second"]) for row in rows[2:]]
    fifth = max(1, len(speeds) // 5)
    speed = np.median(speeds[-fifth:]) / np.median(speeds[:fifth])
    print(f"throughput of the last fifth: {speed:.3f} of that of the first")
    return {
        f"memory within {memory.min():+.2%} and {memory.max():+.2%} of its "
        "median after the first tenth": np.abs(memory).max() <= MOST_MEMORY,
        f"{files.min():.0f} to {files.max():.0f} open files": (
            np.ptp(files) <= 1  # One may be open just then.
        ),
        f"{threads.min():.0f} to {threads.max():.0f} threads": (
            np.ptp(threads) == 0
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gin_file", default="tiny.gin")
    parser.add_argument("--generations", type=int, default=300)
    parser.add_argument("--gin", action="append", default=[])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found, rows = watch(
            *(args.gin_file, args.generations, args.gin),
            os.path.join(folder, "run"),
        )
    print("generation  resident MB  open files  threads")
    for i in np.unique(np.linspace(0, len(found) - 1, 11).astype(int)):
        memory, files, threads = found[i]
        print(f"{i + 1:10}  {memory:11.1f}  {files:10.0f}  {threads:7.0f}")
    results = verdicts(found, rows)
    for name, holds in results.items():
        print(f"{'ok' if holds else 'NO'}: {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

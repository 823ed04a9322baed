"""Lets a population of random learned optimizers train itself, and reports.

It trains on 8x8 digits for a few minutes, compares the best member with tuned
Adam on new problems, and leaves a page. Run again with the same folder, it
continues where it stopped.

Example:
  keras-lopt quickstart --out_dir=runs/quickstart
"""

import os
import subprocess
import sys

from keras_lopt.checks import check_integer


def add_flags(parser):
    parser.add_argument(
        "--out_dir", default="runs/quickstart", help="default: runs/quickstart"
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="seed of the population; default: that of quickstart.gin",
    )


def run(args):
    train = ["train", "--gin_file=quickstart.gin", f"--out_dir={args.out_dir}"]
    if args.seed is not None:
        check_integer("seed", args.seed, 0, 2**31 - 1)
        train.append(f"--gin=training.run.seed={args.seed}")
    if status := _keras_lopt(*train):
        return status
    best = os.path.join(args.out_dir, "best.safetensors")
    report = os.path.join(args.out_dir, "report")
    page = os.path.join(report, "index.html")
    if not _is_newer(page, best):
        if status := _keras_lopt(
            "evaluate",
            "--gin_file=evaluate_quickstart.gin",
            f"--run_dir={args.out_dir}",
            f"--out_dir={report}",
        ):
            return status
    print(f"The report is in {page}")
    return 0


def _keras_lopt(*arguments):
    """Runs a command in a process of its own: each sets XLA's flags."""
    command = [sys.executable, "-m", "keras_lopt", *arguments]
    return subprocess.run(command).returncode


def _is_newer(path, other):
    return os.path.exists(path) and (
        os.path.getmtime(path) > os.path.getmtime(other)
    )

#!/usr/bin/env python3
"""Trains one experiment with several seeds, side by side, with Ray.

  pip install ray
  python examples/ray/sweep.py --gin_file=tiny.gin --out_dir=runs/sweep

Each run is a process of bin/train_population.py on one device, and is started
again by Ray if its machine is lost: it goes on from its last checkpoint. On
several machines, --out_dir must be a folder that all of them see.
"""

import argparse
import csv
import os
import pathlib
import subprocess
import sys

TRAIN = pathlib.Path(__file__).resolve().parents[2] / "bin/train_population.py"


def train(gin_file, out_dir, seed, bindings):
    """Trains with one seed; the last row of its history."""
    command = [sys.executable, str(TRAIN), f"--gin_file={gin_file}"]
    command += [f"--out_dir={out_dir}", f"--gin=training.run.seed = {seed}"]
    command += [f"--gin={binding}" for binding in bindings]
    subprocess.run([*command, "--strategy=cpu"], check=True)
    with open(os.path.join(out_dir, "history.csv"), newline="") as file:
        return list(csv.DictReader(file))[-1]


def main():
    import ray

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gin_file", required=True)
    parser.add_argument("--out_dir", required=True)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--gin", action="append", default=[], help="binding")
    parser.add_argument("--cores", type=int, default=1, help="per run")
    args = parser.parse_args()
    out_dir = os.path.abspath(args.out_dir)
    ray.init(ignore_reinit_error=True)
    remote = ray.remote(num_cpus=args.cores, max_retries=10)(train)
    rows = ray.get(
        [
            remote.remote(args.gin_file, f"{out_dir}/{s}", s, args.gin)
            for s in range(args.seeds)
        ]
    )
    print("seed  generation  best score  inner steps/s")
    for seed, row in enumerate(rows):
        print(
            f"{seed:4d}  {row['generation']:>10}  "
            f"{float(row['best_score']):10.4f}  "
            f"{float(row['inner_steps_per_second']):13,.0f}"
        )


if __name__ == "__main__":
    main()

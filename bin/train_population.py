#!/usr/bin/env python3
"""Trains a population of learned optimizers as gin files say.

Example:
  bin/train_population.py --gin_file=quickstart.gin --out_dir=runs/mine
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)

flags.DEFINE_string(
    "strategy",
    "auto",
    "Devices: auto, cpu, gpu, mirrored, multi_worker or tpu.",
)
flags.DEFINE_integer("replicas", None, "Number of replicas, where mirrored.")
flags.DEFINE_string(
    "resume", "auto", "auto: continue what is in out_dir; never: start again."
)


def find_function():
    from keras_lopt import training

    return training.run


def main(argv):
    _command.main(
        argv, find_function, "out_dir", "strategy", "resume", "replicas"
    )


if __name__ == "__main__":
    app.run(main)

#!/usr/bin/env python3
"""Measures what a step of the rules costs, next to Keras's Adam.

Example:
  bin/benchmark_step.py --gin_file=benchmark_step.gin --out_dir=runs/step \
      --gin='evaluation.benchmark_step.rule_names=("fused",)' \
      --gin='evaluation.benchmark_step.sizes=(1000000,)'
"""

import os
import tempfile

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)


def find_function():
    from keras_lopt import evaluation

    return evaluation.benchmark_step


def main(argv):
    with tempfile.TemporaryDirectory() as dump:
        # XLA reports the sizes of its buffers in a dump, and nowhere else.
        given = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{given} --xla_dump_to={dump}".strip()
        _command.main(argv, find_function, "out_dir")


if __name__ == "__main__":
    app.run(main)

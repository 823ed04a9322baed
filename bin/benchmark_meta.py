#!/usr/bin/env python3
"""Measures meta-training: inner steps per second, and where the time goes.

It uses all cores of the process. `taskset -c 0 bin/benchmark_meta.py ...` uses
one, and measures the shares of the time as well.

Example:
  bin/benchmark_meta.py --gin_file=benchmark_meta.gin --out_dir=runs/meta \
      --gin='evaluation.benchmark_meta.rule_names=("adafac_mlp",)'
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)


def find_function():
    from keras_lopt import evaluation

    return evaluation.benchmark_meta


def main(argv):
    _command.main(argv, find_function, "out_dir")


if __name__ == "__main__":
    app.run(main)

#!/usr/bin/env python3
"""Measures what learned optimizers cost in `fit`, next to Keras's Adam.

Example:
  bin/benchmark_fit.py --gin_file=benchmark_fit.gin --out_dir=runs/fit
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)


def find_function():
    from keras_lopt import evaluation

    return evaluation.benchmark_fit


def main(argv):
    _command.main(argv, find_function, "out_dir")


if __name__ == "__main__":
    app.run(main)

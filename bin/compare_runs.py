#!/usr/bin/env python3
"""Compares training runs, such as self-training and its controls.

Example:
  bin/compare_runs.py --gin_file=compare_controls.gin --out_dir=runs/controls
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)


def find_function():
    from keras_lopt import evaluation

    return evaluation.compare_runs


def main(argv):
    _command.main(argv, find_function, "out_dir")


if __name__ == "__main__":
    app.run(main)

#!/usr/bin/env python3
"""Compares a learned optimizer with tuned Adam and writes a report.

A configuration binds `evaluation.run.benchmarks`, a few tasks and many
problems of each, or `evaluation.run_suite.suite`, many tasks.

Examples:
  bin/evaluate.py --gin_file=evaluate_honest.gin --run_dir=runs/mine \
      --out_dir=runs/mine/honest
  bin/evaluate.py --gin_file=evaluate_standard.gin --run_dir=runs/mine \
      --out_dir=runs/mine/standard
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)

flags.DEFINE_string(
    "run_dir", None, "A training run's folder, a file, or a bundled name."
)
flags.mark_flag_as_required("run_dir")


def find_function():
    from keras_lopt import config, evaluation

    is_suite = config.is_bound("evaluation.run_suite.suite")
    return evaluation.run_suite if is_suite else evaluation.run


def main(argv):
    _command.main(argv, find_function, "run_dir", "out_dir")


if __name__ == "__main__":
    app.run(main)

#!/usr/bin/env python3
"""Compares a run's best member with tuned Adam and writes a report.

Example:
  bin/evaluate.py --gin_file=evaluate_honest.gin --run_dir=runs/mine \
      --out_dir=runs/mine/honest
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)

flags.DEFINE_string(
    "run_dir", None, "Folder of a training run, or a bundled optimizer's name."
)
flags.mark_flag_as_required("run_dir")


def find_function():
    from keras_lopt import evaluation

    return evaluation.run


def main(argv):
    _command.main(argv, find_function, "run_dir", "out_dir")


if __name__ == "__main__":
    app.run(main)

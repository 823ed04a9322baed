#!/usr/bin/env python3
"""Chooses the release among the snapshots of a training run.

Example:
  bin/choose_release.py --gin_file=choose_release.gin --run_dir=runs/general \
      --out_dir=runs/general/choice
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)

flags.DEFINE_string(
    "run_dir", None, "Folder of a training run with snapshots/."
)
flags.mark_flag_as_required("run_dir")


def find_function():
    from keras_lopt import evaluation

    return evaluation.choose


def main(argv):
    _command.main(argv, find_function, "run_dir", "out_dir")


if __name__ == "__main__":
    app.run(main)

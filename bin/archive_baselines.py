#!/usr/bin/env python3
"""Trains the baselines of suites and keeps their curves in an archive.

What the archive has already is not trained again.

Example:
  bin/archive_baselines.py --gin_file=archive_baselines.gin \
      --out_dir=keras_lopt/evaluation/baselines
"""

import _command
from absl import app, flags

flags.adopt_module_key_flags(_command)


def find_function():
    from keras_lopt.evaluation import archive

    return archive.fill


def main(argv):
    _command.main(argv, find_function, "out_dir")


if __name__ == "__main__":
    app.run(main)

#!/usr/bin/env python3
"""Compares a run's best member with tuned Adam and writes a report.

Example:
  bin/evaluate.py --gin_file=evaluate_honest.gin --run_dir=runs/mine \
      --out_dir=runs/mine/honest
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from absl import app, flags, logging  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_multi_string(
    "gin_file", [], "Configuration file, of gin_configs/ or a path; repeatable."
)
flags.DEFINE_multi_string(
    "gin", [], 'Binding such as "run.seeds=3"; repeatable, overrides the files.'
)
flags.DEFINE_string(
    "run_dir", None, "Folder of a training run, or a bundled optimizer's name."
)
flags.DEFINE_string("out_dir", None, "Folder of the report.")
flags.mark_flags_as_required(["run_dir", "out_dir"])


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    if not FLAGS.gin_file:
        raise app.UsageError("--gin_file says what to compare on: give one")
    logging.set_verbosity(logging.FATAL)  # gin logs every path it tries.
    from keras_lopt import config, evaluation

    try:
        config.load(
            FLAGS.gin_file, FLAGS.gin, os.path.join(ROOT, "gin_configs")
        )
        config.call(evaluation.run, FLAGS.run_dir, FLAGS.out_dir)
    except (ValueError, OSError) as error:
        print(f"evaluate: {config.message(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    app.run(main)

#!/usr/bin/env python3
"""Trains a population of learned optimizers as gin files say.

Example:
  bin/train_population.py --gin_file=quickstart.gin --out_dir=runs/mine
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
    "gin", [], 'Binding such as "run.seed=1"; repeatable, overrides the files.'
)
flags.DEFINE_string("out_dir", None, "Folder of the run.")
flags.DEFINE_string(
    "strategy", "auto", "Devices: auto, cpu, gpu, multi_worker or tpu."
)
flags.DEFINE_string(
    "resume", "auto", "auto: continue what is in out_dir; never: start again."
)
flags.mark_flag_as_required("out_dir")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    if not FLAGS.gin_file:
        raise app.UsageError("--gin_file says what to train: give at least one")
    logging.set_verbosity(logging.FATAL)  # gin logs every path it tries.
    from keras_lopt import config, training

    try:
        config.load(
            FLAGS.gin_file, FLAGS.gin, os.path.join(ROOT, "gin_configs")
        )
        config.call(training.run, FLAGS.out_dir, FLAGS.strategy, FLAGS.resume)
    except (ValueError, OSError) as error:
        print(f"train_population: {config.message(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    app.run(main)

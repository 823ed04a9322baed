"""Compares training runs, such as self-training and its controls.

Example:
  keras-lopt compare --gin_file=compare_controls.gin --out_dir=runs/controls
"""

from keras_lopt.commands import experiment


def add_flags(parser):
    experiment.add_flags(parser)


def run(args):
    experiment.call(args, "evaluation.compare_runs", args.out_dir)

"""Trains the baselines of suites and keeps their curves in an archive.

What the archive has already is not trained again.

Example:
  keras-lopt archive --gin_file=archive_baselines.gin \
      --out_dir=keras_lopt/evaluation/baselines
"""

from keras_lopt.commands import experiment


def add_flags(parser):
    experiment.add_flags(parser)


def run(args):
    experiment.call(args, "evaluation.archive.fill", args.out_dir)

"""Chooses the release among the snapshots of a training run.

Example:
  keras-lopt choose --gin_file=choose_release.gin --run_dir=runs/general \
      --out_dir=runs/general/choice
"""

from keras_lopt.commands import experiment


def add_flags(parser):
    experiment.add_flags(parser)
    parser.add_argument(
        "--run_dir",
        required=True,
        help="folder of a training run with snapshots/",
    )


def run(args):
    experiment.call(args, "evaluation.choose", args.run_dir, args.out_dir)

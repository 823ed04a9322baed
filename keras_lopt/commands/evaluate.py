"""Compares a run's best member with tuned Adam and writes a report.

Example:
  keras-lopt evaluate --gin_file=evaluate_honest.gin --run_dir=runs/mine \
      --out_dir=runs/mine/honest
"""

from keras_lopt.commands import experiment


def add_flags(parser):
    experiment.add_flags(parser)
    parser.add_argument(
        "--run_dir",
        required=True,
        help="folder of a training run, an optimizer file, or a shipped name",
    )


def run(args):
    experiment.call(args, "evaluation.run", args.run_dir, args.out_dir)

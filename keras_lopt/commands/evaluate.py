"""Compares a learned optimizer with tuned Adam and writes a report.

A configuration binds `evaluation.run.benchmarks`, a few tasks and many
problems of each, or `evaluation.run_suite.suite`, many tasks.

Examples:
  keras-lopt evaluate --gin_file=evaluate_honest.gin --run_dir=runs/mine \
      --out_dir=runs/mine/honest
  keras-lopt evaluate --gin_file=evaluate_standard.gin --run_dir=runs/mine \
      --out_dir=runs/mine/standard
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
    experiment.call(args, _function, args.run_dir, args.out_dir)


def _function():
    from keras_lopt import config

    is_suite = config.is_bound("evaluation.run_suite.suite")
    return "evaluation.run_suite" if is_suite else "evaluation.run"

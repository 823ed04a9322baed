"""Measures what a rule's step, `fit`, or meta-training costs.

It uses all cores of the process. `taskset -c 0 keras-lopt benchmark meta ...`
uses one, and measures the shares of the time as well.

Examples:
  keras-lopt benchmark step --gin_file=benchmark_step.gin --out_dir=runs/step
  keras-lopt benchmark fit --gin_file=benchmark_fit.gin --out_dir=runs/fit
  keras-lopt benchmark meta --gin_file=benchmark_meta.gin --out_dir=runs/meta
"""

import os
import tempfile

from keras_lopt.commands import experiment


def add_flags(parser):
    parser.add_argument("what", choices=["step", "fit", "meta"])
    experiment.add_flags(parser)


def run(args):
    with tempfile.TemporaryDirectory() as dump:
        if args.what == "step":
            # XLA reports the sizes of its buffers in a dump, nowhere else.
            given = os.environ.get("XLA_FLAGS", "")
            flags = f"{given} --xla_dump_to={dump}".strip()
            os.environ["XLA_FLAGS"] = flags
        experiment.call(args, f"evaluation.benchmark_{args.what}", args.out_dir)

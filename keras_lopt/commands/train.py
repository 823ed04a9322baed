"""Trains a population of learned optimizers as gin files say.

The same command continues a run that was stopped, bit for bit.

Example:
  keras-lopt train --gin_file=quickstart.gin --out_dir=runs/mine
"""

from keras_lopt.commands import experiment, start


def add_flags(parser):
    experiment.add_flags(parser)
    parser.add_argument(
        "--strategy",
        default="auto",
        help="devices: auto, cpu, gpu, mirrored, multi_worker or tpu",
    )
    parser.add_argument(
        "--replicas", type=int, help="number of replicas, where mirrored"
    )
    parser.add_argument(
        "--resume",
        default="auto",
        help="auto: continue what is in out_dir; never: start again",
    )
    parser.add_argument(
        "--compiled_dir",
        help="folder to keep compiled programs in: when a run is continued, or "
        "repeated with another seed, they are not compiled again",
    )


def run(args):
    if args.compiled_dir is not None:
        loops = [line for line in args.gin if "whole_loops" in line]
        start.keep_compiled(args.compiled_dir, *args.gin_file, *loops)
    experiment.call(
        args,
        "training.run",
        args.out_dir,
        args.strategy,
        args.resume,
        args.replicas,
    )

"""Trains a population of learned optimizers as gin files say.

The same command continues a run that was stopped, bit for bit.

Example:
  keras-lopt train --gin_file=quickstart.gin --out_dir=runs/mine
"""

from keras_lopt.commands import experiment


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


def run(args):
    experiment.call(
        args,
        "training.run",
        args.out_dir,
        args.strategy,
        args.resume,
        args.replicas,
    )

#!/usr/bin/env python3
"""A learned optimizer on larger models, by steps and by wall time.

  python tests/benchmarks/larger_models.py --source=general --out_dir=larger

A convnet of about a million weights (batch 128) and a small transformer, each
by Adam and Adam with a cosine decay, whose learning rates are tuned, and by the
learned optimizer, which is and is not told how many steps there will be. Writes
larger_models.csv and a picture. Seconds are those of a run that is compiled, on
the cores that there are; runs take turns with nothing else.
"""

import argparse
import csv
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import keras  # noqa: E402
import matplotlib  # noqa: E402

matplotlib.use("agg")
import numpy as np  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402

from keras_lopt import LearnedOptimizer, tasks  # noqa: E402
from keras_lopt.evaluation import curves, hand_designed  # noqa: E402
from keras_lopt.evaluation.comparison import smooth  # noqa: E402

#: Of each model: family, steps, and configuration.
MODELS = {
    "convnet": (
        "conv_fc",
        300,
        {
            "data": "photos16",
            "channels": (32, 64),
            "hidden": (850,),
            "batch_size": 128,
        },
    ),
    "transformer": (
        "transformer_lm",
        600,
        {
            "source": "modules",
            "embed": 64,
            "heads": 4,
            "depth": 3,
            "length": 32,
            "batch_size": 16,
        },
    ),
}
RATES = tuple(10.0 ** (k / 2) for k in range(-8, -2))
COLUMNS = (
    "model",
    "weights",
    "optimizer",
    "rate",
    "steps",
    "seconds",
    "train_loss",
    "test_loss",
)


def measured(trainee, rates):
    """The best of some rates: its rate, smoothed losses, test loss, seconds."""
    trainee.train(0, rates[0])  # Compiles.
    runs, seconds = {}, []
    for rate in rates:
        start = time.perf_counter()
        runs[rate] = trainee.train(0, rate)
        seconds.append(time.perf_counter() - start)
    losses = {rate: smooth(run.train_losses) for rate, run in runs.items()}
    final = {
        rate: np.nan_to_num(v[-1], nan=np.inf) for rate, v in losses.items()
    }
    best = min(final, key=final.get)
    return best, losses[best], runs[best].test_loss, float(np.median(seconds))


def trainees(task, steps, source):
    """Name, `Trainee` and rates of each optimizer."""
    for name in ("adam", "adam_cosine"):
        baseline = hand_designed.BASELINES[name]
        optimizer, set_rate = baseline.make(steps)
        trainee = curves.Trainee(task, optimizer, steps, set_rate)
        yield baseline.label, trainee, RATES
    for name, horizon in (("told", steps), ("not told", None)):
        optimizer = LearnedOptimizer.from_checkpoint(source, horizon=horizon)
        trainee = curves.Trainee(task, optimizer, steps)
        yield f"{source}, {name}", trainee, (None,)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", default="general", help="the optimizer")
    parser.add_argument("--out_dir", required=True, help="folder of results")
    args = parser.parse_args()
    out_dir = pathlib.Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    rows = []
    figure, axes = plt.subplots(
        len(MODELS), 2, figsize=(9, 6.5), layout="constrained"
    )
    for row, (model, (family, steps, config)) in zip(axes, MODELS.items()):
        task = tasks.get(family, **config)
        for name, trainee, rates in trainees(task, steps, args.source):
            rate, losses, test_loss, seconds = measured(trainee, rates)
            about = model, task.num_params, name, rate, steps, seconds
            values = *about, float(losses[-1]), test_loss
            rows.append(dict(zip(COLUMNS, values, strict=True)))
            print(rows[-1], flush=True)
            label = name if rate is None else f"{name}, {rate:.2g}"
            done = np.arange(1, steps + 1)
            row[0].plot(done, losses, label=label)
            row[1].plot(done * seconds / steps, losses, label=label)
            keras.backend.clear_session()
        row[0].set(ylabel=f"training loss, {model}", xlabel="step")
        row[1].set(xlabel="seconds")
        row[0].legend()
    with open(out_dir / "larger_models.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    figure.savefig(out_dir / "larger_models.png", dpi=110)


if __name__ == "__main__":
    main()

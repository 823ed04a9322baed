#!/usr/bin/env python3
"""Optimizer files side by side on tasks of many kinds, for experiments.

  python tests/benchmarks/probes.py --out_dir=probes general mine.safetensors

One problem per task, on data splits and with widths that neither
gin_configs/tasks/general.gin nor the suite `general_test` has; both Adams have
the best of eight learning rates. Look at these as often as you like, and at
`general_test` once. Writes probes.csv; baselines stay in baselines.json.

With --long, 5,000 steps instead on a problem that is solved after a few
hundred, with horizons told right, wrong, and not at all.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_lopt import LearnedOptimizer, checkpoints, tasks  # noqa: E402
from keras_lopt.evaluation import curves, hand_designed  # noqa: E402
from keras_lopt.evaluation.comparison import smooth  # noqa: E402

TEXT = {"source": "modules"}
#: Of each task: family, steps, and configuration.
PROBES = {
    "dense": (
        "mlp",
        400,
        {"data": "photos8", "hidden": (20,), "batch_size": 48},
    ),
    "deep": (
        "mlp",
        600,
        {
            "data": "photos8",
            "hidden": (24,) * 6,
            "initializer": "he_normal",
            "batch_size": 32,
        },
    ),
    "wide": (
        "mlp",
        300,
        {"data": "photos8", "hidden": (200, 100), "batch_size": 64},
    ),
    "small batches": (
        "mlp",
        1000,
        {"data": "photos8", "hidden": (26,), "batch_size": 8},
    ),
    "no hidden layer": (
        "mlp",
        400,
        {"data": "photos8", "hidden": (), "batch_size": 32},
    ),
    "few digits": (
        "mlp",
        500,
        {
            "data": "digits8:test",
            "hidden": (30,),
            "activation": "tanh",
            "batch_size": 16,
        },
    ),
    "autoencoder": ("mlp_ae", 600, {"data": "photos8", "hidden": (90, 20, 90)}),
    "tanh autoencoder": (
        "mlp_ae",
        800,
        {
            "data": "digits8:test",
            "hidden": (30, 8, 30),
            "activation": "tanh",
            "batch_size": 16,
        },
    ),
    "variational": (
        "mlp_vae",
        500,
        {
            "data": "digits8:test",
            "encoder": (24, 5),
            "decoder": (24,),
            "batch_size": 32,
        },
    ),
    "convnet": (
        "conv_pooling",
        400,
        {
            "data": "digits8:test",
            "channels": (10, 14),
            "activation": "elu",
            "batch_size": 24,
        },
    ),
    "resnet": (
        "resnet",
        400,
        {"data": "photos8", "channels": 8, "stages": 2, "batch_size": 32},
    ),
    "vit": (
        "vit",
        400,
        {
            "data": "photos8",
            "embed": 16,
            "heads": 2,
            "depth": 2,
            "patch": 2,
            "batch_size": 32,
        },
    ),
    "transformer, characters": (
        "transformer_lm",
        500,
        {"embed": 20, "heads": 2, "depth": 2, "length": 16, **TEXT},
    ),
    "transformer, words": (
        "transformer_lm",
        600,
        {
            "level": "word",
            "vocabulary": 800,
            "embed": 16,
            "heads": 2,
            "depth": 1,
            "length": 10,
            **TEXT,
        },
    ),
    "gru, characters": (
        "rnn_char_lm",
        400,
        {"core": "gru", "units": 28, "length": 14, **TEXT},
    ),
    "lstm, words": (
        "rnn_word_lm",
        400,
        {"core": "lstm", "units": 20, "vocabulary": 600, "length": 8, **TEXT},
    ),
    "recurrent classifier": (
        "rnn_text",
        400,
        {
            "core": "vrnn",
            "units": 18,
            "vocabulary": 800,
            "readout": "max",
            "length": 10,
            **TEXT,
        },
    ),
    "table": (
        "tabular",
        1000,
        {
            "data": "breast_cancer:test",
            "hidden": (28, 10),
            "activation": "sigmoid",
            "batch_size": 24,
        },
    ),
    "table, no hidden layer": (
        "tabular",
        400,
        {"data": "breast_cancer:test", "hidden": (), "batch_size": 16},
    ),
    "regression": (
        "teacher",
        500,
        {
            "hidden": (14, 14),
            "targets": "numbers",
            "features": 10,
            "outputs": 2,
            "batch_size": 16,
        },
    ),
    "random data": (
        "random_data",
        800,
        {"hidden": (24,), "features": 18, "classes": 7, "batch_size": 24},
    ),
    "quadratic": ("quadratic", 500, {"size": 30, "numbers": (0.1, 3.0)}),
    "norm": (
        "losg",
        500,
        {"function": "norm", "size": 30, "gradient_noise": (0.05, 0.05)},
    ),
}
RATES = tuple(10.0 ** (k / 2) for k in range(-7, 1))
#: One task counts at most as a loss that is this many times lower or higher.
MOST = 10.0
#: Losses below this count as this.
LEAST = 1e-7
LONG = (
    "mlp",
    5000,
    {
        "data": "digits4:test",
        "hidden": (18,),
        "activation": "tanh",
        "batch_size": 8,
    },
)
#: What is told of a long run's horizon, in units of it; None: nothing.
TOLD = (1.0, 0.5, 0.2, 2.0, 5.0, None)


def final(curve):
    """The smoothed training loss at the end; infinite if it is not finite."""
    return float(np.nan_to_num(smooth(curve.train_losses)[-1], nan=np.inf))


def best(baseline, task, steps):
    """The lowest training loss, and the lowest test loss of any rate."""
    optimizer, set_rate = hand_designed.BASELINES[baseline].make(steps)
    trainee = curves.Trainee(task, optimizer, steps, set_rate)
    runs = [trainee.train(0, rate) for rate in RATES]
    tests = [np.nan_to_num(run.test_loss, nan=np.inf) for run in runs]
    return min(map(final, runs)), float(min(tests))


def of_files(task, steps, files):
    """[(told, test), (not told, test)] of each file; compiles once per rule."""
    trainees, found = {}, {}
    for file in files:
        rule, theta, _ = checkpoints.load(file)
        for horizon in (steps, None):
            optimizer = LearnedOptimizer(rule, theta, horizon=horizon)
            key = rule, horizon
            if key not in trainees:
                trainees[key] = curves.Trainee(task, optimizer, steps)
            else:
                trainees[key].start_from(optimizer)
            run = trainees[key].train(0)
            found.setdefault(file, []).append((final(run), run.test_loss))
    return found


def log_ratio(baseline, ours):
    ratio = max(baseline, LEAST) / max(ours, LEAST)
    return math.log(min(max(ratio, 1.0 / MOST), MOST))


def compare(files, out_dir, only):
    """Prints and writes a row per task, and means over tasks."""
    kept = out_dir / "baselines.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    rows, scores = [], {}
    for name, (family, steps, config) in PROBES.items():
        if only and name not in only:
            continue
        task = tasks.get(family, **config)
        for baseline in ("adam", "adam_cosine"):
            key = f"{name}, {baseline}"
            if key not in known:
                known[key] = best(baseline, task, steps)
                kept.write_text(json.dumps(known, indent=1))
        adams = [known[f"{name}, {b}"] for b in ("adam", "adam_cosine")]
        row = {"task": name, "adam": adams[0][0], "cosine": adams[1][0]}
        for file, runs in of_files(task, steps, files).items():
            for way, (train, test) in zip(("told", "not told"), runs):
                row[f"{file}, {way}"] = train
                scores.setdefault((file, way), []).append(
                    [
                        log_ratio(adam[i], ours)
                        for adam in adams
                        for i, ours in enumerate((train, test))
                    ]
                )
        rows.append(row)
        cells = [f"{v:.4g}" for v in list(row.values())[1:]]
        print(f"{name:24s}", *(f"{c:>10s}" for c in cells), flush=True)
        keras.backend.clear_session()
    columns = "adam, its test, cosine, its test"
    for (file, way), values in scores.items():
        values = np.array(values)
        wins = ", ".join(f"{w:.0f}" for w in np.sum(values > 0, axis=0))
        means = ", ".join(f"{m:+.3f}" for m in np.mean(values, axis=0))
        print(f"{file}, {way}: of {len(values)} better than ({columns}) {wins}")
        print(f"    mean log ratios {means}", flush=True)
    if rows:
        with open(out_dir / "probes.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def weights(trainee):
    """RMS of every weight of the trained model."""
    return np.array(
        [
            np.sqrt(np.mean(np.square(v.numpy())))
            for v in trainee.model.trainable_variables
        ]
    )


def compare_long(files):
    """Prints what remains of a problem that is solved long before the end."""
    family, steps, config = LONG
    task = tasks.get(family, **config)
    optimizer, set_rate = hand_designed.BASELINES["adam"].make(steps)
    trainee = curves.Trainee(task, optimizer, steps, set_rate)
    runs = {}
    for rate in RATES[:5]:
        run = trainee.train(0, rate)
        runs[rate] = final(run), weights(trainee)
    rate = min(runs, key=lambda rate: runs[rate][0])
    print(f"Adam {rate:.2g}: {runs[rate][0]:.3g}", flush=True)
    for file in files:
        rule, theta, _ = checkpoints.load(file)
        for told in TOLD:
            horizon = told and round(told * steps)
            optimizer = LearnedOptimizer(rule, theta, horizon=horizon)
            trainee = curves.Trainee(task, optimizer, steps)
            run = trainee.train(0)
            growth = np.max(weights(trainee) / runs[rate][1])
            print(
                f"{file}, told {told} of the horizon: {final(run):.3g}, "
                "largest loss of the second half "
                f"{np.max(run.train_losses[steps // 2 :]):.3g}, "
                f"weights / Adam's {growth:.1f}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", help="names or files of optimizers")
    parser.add_argument("--out_dir", required=True, help="folder of results")
    parser.add_argument("--only", action="append", help="one of the tasks")
    parser.add_argument("--long", action="store_true", help="5,000 steps")
    args = parser.parse_args()
    out_dir = pathlib.Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    if args.long:
        compare_long(args.files)
    else:
        compare(args.files, out_dir, args.only)


if __name__ == "__main__":
    main()

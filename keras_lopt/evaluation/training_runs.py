"""Training runs: their histories, and the runs against each other.

bin/compare_runs.py calls `compare_runs`.
"""

import csv
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt

from keras_lopt import checkpoints
from keras_lopt.checks import near_name
from keras_lopt.evaluation import comparison as comparisons
from keras_lopt.evaluation import plots, tables
from keras_lopt.evaluation.comparison import METRICS, Benchmark
from keras_lopt.optimizers import LearnedOptimizer

#: Runs of ours that ship with the package: histories and best members.
RECORDED = pathlib.Path(__file__).parent / "recorded"


def run_folder(name: str) -> str:
    """Folder of a training run: `name`, or the recorded run of that name.

    >>> from keras_lopt import evaluation
    >>> folder = evaluation.run_folder("self_training_0")
    >>> len(evaluation.read_history(f"{folder}/history.csv")["generation"])
    121

    Raises:
        FileNotFoundError: There is no such folder.
    """
    for path in (name, RECORDED / name):
        if os.path.isdir(path):
            return str(path)
    known = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())
    raise FileNotFoundError(
        "A training run must be a folder with a history.csv, or the name of "
        f"one of {len(known)} recorded runs, such as {known[-1]!r}. "
        f"Received: {name!r}.{near_name(name, known)}"
    )


def read_history(path: str) -> dict[str, np.ndarray]:
    """Columns of a training run's history.csv, as arrays.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no rows, or a row that is not all numbers.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(
            "The folder of a training run must have a history.csv. Received: "
            f"{path}, which does not exist"
        )
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(
            "A history.csv must have a line of column names and one or more "
            f"rows of numbers. Received: {path}, which has no rows"
        )
    for number, row in enumerate(rows, start=2):
        _check_row(path, number, row)
    return {k: np.array([float(row[k]) for row in rows]) for k in rows[0]}


def _check_row(path, number, row):
    for key, value in row.items():
        try:
            float(value)
        except (TypeError, ValueError):
            found = f"{value!r} in column {key!r}"
            if key is None:
                found = f"{len(value)} values more than there are columns"
            raise ValueError(
                "A history.csv must have one number per column in every row. "
                f"Received: {path}, line {number}: {found}; remove the "
                "damaged line"
            ) from None


def compare_runs(
    out_dir: str,
    *,
    runs: Mapping[str, Sequence[str]],
    benchmark: Benchmark,
    seeds: int = 10,
    rates: Sequence[float] = comparisons.LEARNING_RATES,
) -> list[dict]:
    """Compares the best members of training runs on the same new problems.

    Args:
        out_dir: Folder for runs.csv, runs.json and runs.png.
        runs: Dict from a label to the folders of its runs, which differ in
            the seed of the population. Each folder has a history.csv and a
            best.safetensors; a name is that of a recorded run.
        benchmark: The `Benchmark` that the members train.
        seeds: Number of problems; every member trains on all of them.
        rates: Adam's learning rates; the best one is the reference.

    Returns:
        A list of dicts, one row per label.
    """
    _check_runs(runs)
    runs = {
        label: [run_folder(name) for name in names]
        for label, names in runs.items()
    }
    histories = {
        label: [read_history(os.path.join(f, "history.csv")) for f in folders]
        for label, folders in runs.items()
    }
    members = {
        label: [checkpoints.load(folder)[:2] for folder in folders]
        for label, folders in runs.items()
    }
    task = benchmark.task()
    adam = _tuned_adam(task, benchmark, seeds, rates)
    print(_reference_text(adam), flush=True)
    rows = []
    for label, found in members.items():
        results = [_train(task, benchmark, seeds, *member) for member in found]
        rows.append(_row(label, histories[label], results, adam))
        print(_row_text(rows[-1]), flush=True)
    os.makedirs(out_dir, exist_ok=True)
    _write(out_dir, rows, adam, histories)
    return rows


def _check_runs(runs):
    is_dict = isinstance(runs, Mapping) and len(runs) > 0
    if not is_dict or not all(
        isinstance(folders, (tuple, list)) and len(folders) > 0
        for folders in runs.values()
    ):
        raise ValueError(
            "`runs` must be a dict from labels to lists of one or more "
            f"folders. Received: runs={runs!r}"
        )


def _train(task, benchmark, seeds, rule, theta):
    """Dict from metric to its values [seeds], for one member."""
    optimizer = LearnedOptimizer(rule, theta, horizon=benchmark.num_steps)
    curves = comparisons.train(task, optimizer, benchmark.num_steps, seeds)
    return {metric: comparisons.values(curves, metric) for metric in METRICS}


def _tuned_adam(task, benchmark, seeds, rates):
    """Dict from metric to its values [seeds] with the best learning rate."""
    adam = comparisons.train_adam(task, benchmark.num_steps, seeds, rates)
    return {
        metric: comparisons.values(
            adam[comparisons.best_rate(adam, metric)], metric
        )
        for metric in METRICS
    }


def _row(label, histories, results, adam):
    """The numbers of one label: means over its runs."""
    reached = [
        steps_until(history, float(np.mean(adam["mean_train_loss"])))
        for history in histories
    ]
    row = {
        "label": label,
        "runs": len(histories),
        "outer_steps": int(max(h["outer_step"][-1] for h in histories)),
        "best_score": float(np.mean([h["best_score"][-1] for h in histories])),
        "steps_to_adam": float(np.median(reached)),
        "runs_below_adam": int(np.sum(np.isfinite(reached))),
    }
    for metric in METRICS:
        # All train the same problems: the differences from Adam are paired.
        values = np.mean([result[metric] for result in results], axis=0)
        difference = values - adam[metric]
        row[metric] = float(np.mean(values))
        row[f"{metric}_error"] = comparisons.standard_error(values)
        row[f"{metric}_minus_adam"] = float(np.mean(difference))
        row[f"{metric}_minus_adam_error"] = comparisons.standard_error(
            difference
        )
    return row


def steps_until(history, loss):
    """Outer steps until the best training loss falls below `loss` and stays.

    Infinite if it does not stay below.
    """
    above = np.flatnonzero(~(history["best_train_loss"] < loss))
    first = above[-1] + 1 if len(above) else 0
    steps = history["outer_step"]
    return float(steps[first]) if first < len(steps) else float("inf")


def _reference_text(adam):
    train, test = (float(np.mean(adam[metric])) for metric in METRICS)
    return f"tuned Adam: training loss {train:.3f}, test loss {test:.3f}"


def _row_text(row):
    return (
        f"{row['label']:<36} {row['runs']} runs  {row['outer_steps']} outer "
        f"steps  score {row['best_score']:.3f}  training loss "
        f"{row['mean_train_loss']:.3f} ± {row['mean_train_loss_error']:.3f}  "
        f"test loss {row['test_loss']:.3f} ± {row['test_loss_error']:.3f}  "
        f"stays below Adam: {row['runs_below_adam']} of {row['runs']}, "
        f"after {row['steps_to_adam']:.0f}"
    )


def _write(out_dir, rows, adam, histories):
    tables.write_csv(os.path.join(out_dir, "runs.csv"), rows)
    reference = {metric: float(np.mean(adam[metric])) for metric in METRICS}
    with open(os.path.join(out_dir, "runs.json"), "w") as file:
        json.dump({"tuned_adam": reference, "rows": rows}, file, indent=2)
    figure = plots.plot_runs(histories, reference["mean_train_loss"])
    figure.savefig(os.path.join(out_dir, "runs.png"))
    plt.close(figure)

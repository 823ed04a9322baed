"""Training runs against each other: what bin/compare_runs.py calls."""

import csv
import json
import os

import numpy as np
from matplotlib import pyplot as plt

from keras_lopt import checkpoints
from keras_lopt.evaluation import comparison as comparisons
from keras_lopt.evaluation import plots
from keras_lopt.evaluation.curves import Trainee
from keras_lopt.evaluation.evaluate import read_history
from keras_lopt.optimizers import LearnedOptimizer

_METRICS = ("mean_train_loss", "test_loss")


def compare_runs(
    out_dir, *, runs, problem, seeds=10, rates=comparisons.LEARNING_RATES
):
    """Compares the best members of training runs on the same new problems.

    Args:
        out_dir: Gets runs.csv, runs.json and runs.png.
        runs: Dict from a label to the folders of its runs (of different
            population seeds); each has history.csv and best.safetensors.
        problem: A `Problem`: what the members train.
        seeds: Problems that every member trains on.
        rates: Learning rates of Adam, the best of which is the reference.

    Returns:
        A row a label, a list of dicts.
    """
    histories = {
        label: [read_history(os.path.join(f, "history.csv")) for f in folders]
        for label, folders in runs.items()
    }
    members = {
        label: [checkpoints.load(folder)[:2] for folder in folders]
        for label, folders in runs.items()
    }
    task = problem.task()
    adam = _tuned_adam(task, problem, seeds, rates)
    print(_reference_text(adam), flush=True)
    rows = []
    for label, found in members.items():
        results = [_train(task, problem, seeds, *member) for member in found]
        rows.append(_row(label, histories[label], results, adam))
        print(_row_text(rows[-1]), flush=True)
    os.makedirs(out_dir, exist_ok=True)
    _write(out_dir, rows, adam, histories)
    return rows


def _train(task, problem, seeds, rule, theta):
    """Dict from metric to its values [seeds], of one member."""
    optimizer = LearnedOptimizer(rule, theta)
    trainee = Trainee(task, optimizer, problem.num_steps)
    curves = [trainee.train(number) for number in range(seeds)]
    return {metric: comparisons.values(curves, metric) for metric in _METRICS}


def _tuned_adam(task, problem, seeds, rates):
    """Dict from metric to the best rate's values [seeds]."""
    adam = comparisons.train_adam(task, problem.num_steps, seeds, rates)
    return {
        metric: comparisons.values(
            adam[comparisons.best_rate(adam, metric)], metric
        )
        for metric in _METRICS
    }


def _row(label, histories, results, adam):
    """One label in numbers: means over its runs."""
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
    for metric in _METRICS:
        # Problems are shared: their differences from Adam are paired.
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
    """Outer steps after which the best training loss stays below `loss`.

    Infinite where it does not.
    """
    above = np.flatnonzero(~(history["best_train_loss"] < loss))
    first = above[-1] + 1 if len(above) else 0
    steps = history["outer_step"]
    return float(steps[first]) if first < len(steps) else float("inf")


def _reference_text(adam):
    train, test = (float(np.mean(adam[metric])) for metric in _METRICS)
    return f"tuned Adam: training loss {train:.3f}, test loss {test:.3f}"


def _row_text(row):
    return (
        f"{row['label']:<36} {row['runs']} runs  {row['outer_steps']} outer "
        f"steps  score {row['best_score']:.3f}  training loss "
        f"{row['mean_train_loss']:.3f} ± {row['mean_train_loss_error']:.3f}  "
        f"test loss {row['test_loss']:.3f} ± {row['test_loss_error']:.3f}  "
        f"below Adam for good: {row['runs_below_adam']} of {row['runs']}, "
        f"after {row['steps_to_adam']:.0f}"
    )


def _write(out_dir, rows, adam, histories):
    with open(os.path.join(out_dir, "runs.csv"), "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    reference = {metric: float(np.mean(adam[metric])) for metric in _METRICS}
    with open(os.path.join(out_dir, "runs.json"), "w") as file:
        json.dump({"tuned_adam": reference, "rows": rows}, file, indent=2)
    figure = plots.plot_runs(histories, reference["mean_train_loss"])
    figure.savefig(os.path.join(out_dir, "runs.png"))
    plt.close(figure)

"""One evaluation: what bin/evaluate.py calls and gin configures."""

import csv
import dataclasses
import os

import numpy as np

from keras_lopt import checkpoints
from keras_lopt.evaluation import comparison as comparisons
from keras_lopt.evaluation import plots, report
from keras_lopt.optimizers import LearnedOptimizer


@dataclasses.dataclass(frozen=True)
class Problem:
    """What to compare on.

    Args:
        name: For the report.
        task: Function that builds a `tasks.Task`.
        num_steps: Length of the runs.
        seeds: Number of problems; None: as `run` says.
    """

    name: str
    task: object
    num_steps: int = 200
    seeds: int | None = None


def run(
    run_dir,
    out_dir,
    *,
    problems,
    seeds=10,
    rates=comparisons.LEARNING_RATES,
    controls=None,
):
    """Evaluates a run's best member and writes a report.

    Args:
        run_dir: Of a training run; or a bundled optimizer's name or a file,
            then there is no history to plot.
        out_dir: Gets index.html, PNGs, summary.csv, summary.json.
        problems: List of `Problem`; the first is the run's own.
        seeds: Problems a task, at least 3 for a claim.
        rates: Adam's learning rates.
        controls: Dict from label to a folder with the history.csv of a
            control run, or None.

    Returns:
        The rows of the summary.

    >>> from keras_lopt import evaluation, tasks
    >>> problem = evaluation.Problem("digits", tasks.digits_mlp, num_steps=20)
    >>> rows = evaluation.run(
    ...     "fused_digits", "report", problems=[problem], seeds=3, rates=(0.01,)
    ... )  # doctest: +ELLIPSIS
    digits: training loss ...
    >>> rows[0]["metric"], rows[0]["seeds"]
    ('mean_train_loss', 3)
    """
    controls = {
        label: read_history(os.path.join(folder, "history.csv"))
        for label, folder in (controls or {}).items()
    }
    rule, theta, metadata = checkpoints.load(run_dir)
    rows, figures, done = [], {}, []
    for problem in problems:
        result = comparisons.compare(
            problem.name,
            problem.task(),
            LearnedOptimizer(rule, theta),
            problem.num_steps,
            problem.seeds or seeds,
            rates,
        )
        done.append(result)
        new = [result.row(m) for m in ("mean_train_loss", "test_loss")]
        rows.extend(new)
        print(
            f"{problem.name}: training loss {new[0]['ours']:.3f} (Adam "
            f"{new[0]['adam']:.3f}), test loss {new[1]['ours']:.3f} (Adam "
            f"{new[1]['adam']:.3f}), speed-up {result.speed_up:.1f}",
            flush=True,
        )
    history_path = os.path.join(run_dir, "history.csv")
    if os.path.exists(history_path):
        figures["How the population trained itself"] = plots.plot_history(
            read_history(history_path), controls, rows[0]["adam"]
        )
    for result in done:
        figures[f"{result.name}, {result.num_steps} steps"] = plots.plot_curves(
            result
        )
    lead = (
        f"Best member after {metadata.get('outer_step', '?')} outer steps, one "
        f"run a problem, against Adam with the best of {len(rates)} learning "
        "rates for each metric. Same initial values and batches. Lower is "
        "better; colour marks differences beyond two standard errors."
    )
    path = report.write(
        out_dir,
        "A learned optimizer that trained itself, against tuned Adam",
        lead,
        rows,
        figures,
        _config_text(run_dir),
    )
    print(report.text_table(rows))
    print(f"report: {path}", flush=True)
    return rows


def read_history(path):
    """Columns of a history.csv as arrays."""
    if not os.path.exists(path):
        raise FileNotFoundError(
            "A folder of a training run must have a history.csv. Received: "
            f"{path}, which does not exist"
        )
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {k: np.array([float(row[k]) for row in rows]) for k in rows[0]}


def _config_text(run_dir):
    path = os.path.join(run_dir, "operative_config.gin")
    if not os.path.exists(path):
        return "(not recorded)"
    with open(path) as file:
        return file.read()

"""A learned optimizer on every task of a suite, against tuned baselines.

bin/evaluate.py calls `run_suite` for configurations that bind its suite. The
learned optimizer has one run per problem and no setting but the horizon.
"""

import os
from collections.abc import Sequence

import keras

from keras_lopt import checkpoints
from keras_lopt.checks import check_choice, check_flag, check_numbers
from keras_lopt.evaluation import archive, suite_metrics, suite_report
from keras_lopt.evaluation.curves import Trainee
from keras_lopt.evaluation.hand_designed import RATES, check_baselines
from keras_lopt.evaluation.rate_curves import train_learned
from keras_lopt.optimizers import LearnedOptimizer
from keras_lopt.tasks import suites


def run_suite(
    run_dir: str,
    out_dir: str,
    *,
    suite: str,
    baselines: Sequence[str] = ("adam", "adam_cosine"),
    rates: Sequence[float] = RATES,
    tell_horizon: bool = True,
    horizon_factor: float = 1.0,
    stale: str = "refuse",
) -> list[dict]:
    """Evaluates a learned optimizer on a suite and writes a report.

    Args:
        run_dir: Folder of a training run, an optimizer file, or the name of a
            bundled optimizer.
        out_dir: Folder for index.html, summary.csv, summary.json and for
            baselines/, the curves that the package's archive does not have.
        suite: Name of a suite, one of `tasks.suites.names()`.
        baselines: Names of baselines, with "adam"; see
            `hand_designed.BASELINES`.
        rates: The baselines' learning rates.
        tell_horizon: Whether the learned optimizer knows the horizon.
        horizon_factor: The horizon that it is told is the true one times this.
        stale: What to do with archived curves of other versions: "refuse", or
            "recompute", in out_dir.

    Returns:
        A dict per task, in the order of the suite. Tasks whose data are absent
        have only `task`, `family` and `skipped`.

    For example:

        evaluation.run_suite("runs/mine", "report", suite="general_test")
    """
    entries = suites.get(suite)
    check_numbers("rates", rates, "(0, inf)")
    check_flag("tell_horizon", tell_horizon)
    check_numbers("horizon_factor", (horizon_factor,), "(0, inf)")
    check_choice("stale", stale, ("refuse", "recompute"))
    found, missing = check_baselines(baselines)
    for name in missing:
        print(f"{name}: skipped, this Keras does not have it", flush=True)
    rule, theta, metadata = checkpoints.load(run_dir)
    folders = (os.path.join(out_dir, "baselines"), archive.PACKAGED)
    rows, images = [], []
    for entry in entries:
        factor = horizon_factor if tell_horizon else None
        optimizer = LearnedOptimizer(rule, theta, horizon=told(entry, factor))
        row, lines = _evaluate(entry, optimizer, found, rates, folders, stale)
        rows.append(row)
        print(text(row, found), flush=True)
        if lines:
            images.append(suite_report.image(row["task"], lines, found))
        keras.backend.clear_session()
        # Written after every task: a run that is stopped has a report.
        path = suite_report.write(
            out_dir, suite, os.fspath(run_dir), metadata, found, rows, images
        )
    print(suite_report.verdict(rows, found))
    print(f"report: {path}", flush=True)
    return rows


def told(entry, factor=1.0):
    """The horizon that an optimizer is told for an entry, or None."""
    return None if factor is None else max(1, round(factor * entry.horizon))


def _evaluate(entry, optimizer, baselines, rates, folders, stale):
    """The row of an entry, and its curves by name; None if it is skipped."""
    row = {"task": entry.label, "family": entry.family}
    try:
        task = entry.task()
    except FileNotFoundError:
        return {**row, "skipped": "its data is not here"}, None
    known = archived(entry, task, baselines, rates, folders, stale)
    trainee = Trainee(task, optimizer, entry.horizon)
    ours = train_learned(trainee, entry.seeds).above(task.normalizer.floor)
    row.update(
        skipped="",
        params=task.num_params,
        steps=entry.horizon,
        start=ours.start,
        final=ours.final,
        test=ours.test,
        has_diverged=ours.has_diverged,
    )
    for name, curves in known.items():
        numbers = suite_metrics.against(curves, ours)
        row.update({f"{name}_{key}": value for key, value in numbers.items()})
    return row, {"ours": ours, **known}


def archived(entry, task, baselines, rates, folders, stale):
    """Dict from a baseline's name to its `RateCurves` above the least loss."""
    return {
        baseline.name: archive.baseline_curves(
            entry, task, baseline, rates, folders, stale
        ).above(task.normalizer.floor)
        for baseline in baselines
    }


def text(row, baselines):
    """A row as a line for the terminal."""
    if row["skipped"]:
        return f"{row['task']}: skipped, {row['skipped']}"
    parts = [
        f"{b.label} {row[f'{b.name}_final']:.4g} "
        f"(x{row[f'{b.name}_ratio']:.2f}, speed "
        f"{row[f'{b.name}_speed_up']:.1f}, test "
        f"x{row[f'{b.name}_test_ratio']:.2f})"
        for b in baselines
    ]
    end = "  DIVERGED" if row["has_diverged"] else ""
    return f"{row['task']}: {row['final']:.4g}; {', '.join(parts)}{end}"

"""The choice of a release among the snapshots of a training run: a funnel.

The best on the training tasks is seldom the best elsewhere (Chen et al. 2023,
arXiv 2302.06675), so that a suite of larger tasks decides. All snapshots
train its first, cheapest tasks; the best few of them train all.
bin/choose_release.py calls `choose`.
"""

import glob
import math
import os
from collections.abc import Sequence

import keras
import numpy as np

from keras_lopt import checkpoints
from keras_lopt.checks import check_choice, check_integer, check_number
from keras_lopt.evaluation import archive, suite_metrics, tables
from keras_lopt.evaluation.curves import Trainee
from keras_lopt.evaluation.hand_designed import RATES, check_baselines
from keras_lopt.evaluation.rate_curves import train_learned
from keras_lopt.evaluation.suite import archived, told
from keras_lopt.optimizers import LearnedOptimizer
from keras_lopt.tasks import suites

#: One task counts at most as a loss that is this many times lower or higher.
MOST = 10.0


def choose(
    run_dir: str,
    out_dir: str,
    *,
    suite: str = "general_validation",
    cheap: int = 4,
    finalists: int = 3,
    test_weight: float = 0.5,
    baselines: Sequence[str] = ("adam", "adam_cosine"),
    rates: Sequence[float] = RATES,
    stale: str = "refuse",
) -> list[dict]:
    """Chooses one of a run's snapshots and writes it as release.safetensors.

    A snapshot's score is the mean of log(baseline's loss / its loss), over
    tasks and baselines, for final training losses and test losses; one task
    counts at most log(10), and as much below zero if the run diverges.

    Args:
        run_dir: Folder of a training run with snapshots/*.safetensors.
        out_dir: Folder for release.safetensors, choice.csv, choice.json, and
            baselines/ as for `run_suite`.
        suite: Name of the suite that decides. Report on another one.
        cheap: Number of its first tasks that all snapshots train.
        finalists: Number of snapshots that train all tasks.
        test_weight: Weight of test losses in the score, from 0 to 1.
        baselines, rates, stale: As for `run_suite`.

    Returns:
        A dict per snapshot, the chosen one first.
    """
    entries = suites.get(suite)
    check_integer("cheap", cheap, 1, len(entries))
    check_integer("finalists", finalists, 1)
    check_number("test_weight", test_weight, "[0, 1]")
    check_choice("stale", stale, ("refuse", "recompute"))
    found, _ = check_baselines(baselines)
    snapshots = read_snapshots(run_dir)
    folders = (os.path.join(out_dir, "baselines"), archive.PACKAGED)
    settings = test_weight, found, rates, folders, stale
    scores = {path: {} for path in snapshots}
    _score(entries[:cheap], snapshots, scores, settings)
    best = sorted(snapshots, key=lambda path: _mean(scores[path]))
    finals = {path: snapshots[path] for path in best[-finalists:]}
    _score(entries[cheap:], finals, scores, settings)
    chosen = max(finals, key=lambda path: _mean(scores[path]))
    rows = _rows(scores, finals, chosen)
    rule, theta, metadata = snapshots[chosen]
    os.makedirs(out_dir, exist_ok=True)
    release = os.path.join(out_dir, "release.safetensors")
    facts = {"snapshot": os.path.basename(chosen), "suite": suite}
    facts.update(score=rows[0]["score"], snapshots=len(snapshots))
    checkpoints.save(release, rule, theta, {**metadata, "choice": facts})
    tables.write_csv(os.path.join(out_dir, "choice.csv"), rows)
    tables.write(os.path.join(out_dir, "choice.json"), choose.__doc__, rows)
    print(
        f"chosen: {facts['snapshot']}, score {facts['score']:+.3f} on {suite}; "
        f"written to {release}",
        flush=True,
    )
    return rows


def read_snapshots(run_dir):
    """Dict from a snapshot's path to its rule, theta and metadata.

    Raises:
        FileNotFoundError: There are no snapshots.
        ValueError: Their rules differ.
    """
    pattern = os.path.join(glob.escape(run_dir), "snapshots", "*.safetensors")
    paths = sorted(glob.glob(pattern))
    if not paths:
        raise FileNotFoundError(
            "`run_dir` must be the folder of a training run with "
            f"snapshots/*.safetensors. Received: run_dir={run_dir!r}, which "
            "has none; train with `training.run.snapshot_minutes`"
        )
    found = {path: checkpoints.load(path) for path in paths}
    specs = {
        path: checkpoints.rule_spec(rule) for path, (rule, *_) in found.items()
    }
    other = [path for path in paths if specs[path] != specs[paths[0]]]
    if other:
        raise ValueError(
            "`run_dir` must have snapshots of one rule, with equal settings. "
            f"Received: {os.path.basename(paths[0])} has {specs[paths[0]]}, "
            f"{os.path.basename(other[0])} has {specs[other[0]]}"
        )
    return found


def _score(entries, snapshots, scores, settings):
    """Adds to `scores` those of snapshots on entries; compiles once each."""
    test_weight, baselines, rates, folders, stale = settings
    for entry in entries:
        try:
            task = entry.task()
        except FileNotFoundError:
            print(f"{entry.label}: skipped, its data is not here", flush=True)
            continue
        known = archived(entry, task, baselines, rates, folders, stale)
        trainee = None
        for path, (rule, theta, _) in snapshots.items():
            optimizer = LearnedOptimizer(rule, theta, horizon=told(entry))
            if trainee is None:
                trainee = Trainee(task, optimizer, entry.horizon)
            else:
                trainee.start_from(optimizer)
            ours = train_learned(trainee, entry.seeds)
            ours = ours.above(task.normalizer.floor)
            scores[path][entry.label] = score(known, ours, test_weight)
            print(
                f"{entry.label}: {os.path.basename(path)} "
                f"{scores[path][entry.label]:+.3f}",
                flush=True,
            )
        keras.backend.clear_session()


def score(known, ours, test_weight):
    """The score of a snapshot on one task; higher is better.

    Args:
        known: Dict of the baselines' `RateCurves`.
        ours: The snapshot's `RateCurves`.
        test_weight: As for `choose`.
    """
    parts = []
    for curves in known.values():
        numbers = suite_metrics.against(curves, ours)
        train, test = _log(numbers["ratio"]), _log(numbers["test_ratio"])
        parts.append((1.0 - test_weight) * train + test_weight * test)
    return float(np.mean(parts))


def _log(ratio):
    """log(ratio) within the bounds of one task; 0 without a ratio."""
    if math.isnan(ratio):
        return 0.0
    return math.log(min(max(ratio, 1.0 / MOST), MOST))


def _mean(scores):
    return float(np.mean(list(scores.values()) or [0.0]))


def _rows(scores, finals, chosen):
    """A dict per snapshot: the chosen one, finalists, others, best first."""
    order = sorted(
        scores,
        key=lambda p: (p == chosen, p in finals, _mean(scores[p])),
        reverse=True,
    )
    labels = list(dict.fromkeys(k for found in scores.values() for k in found))
    return [
        {
            "snapshot": os.path.basename(path),
            "is_finalist": path in finals,
            "score": _mean(scores[path]),
            **{label: scores[path].get(label, "") for label in labels},
        }
        for path in order
    ]

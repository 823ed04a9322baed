"""Prints how far a training run is, from the files in its folder alone.

It needs neither TensorFlow nor the process that trains.

Example:
  keras-lopt status runs/mine
"""

import csv
import dataclasses
import json
import math
import os
import re
import time

from keras_lopt.run_texts import duration, planned_generations


def add_flags(parser):
    parser.add_argument("run_dir", help="folder of a training run")


def run(args):
    for line in report(read(args.run_dir)):
        print(line)


@dataclasses.dataclass(frozen=True)
class Status:
    """What the files of a run say.

    Attributes:
        folder: The run's.
        rows: Rows of history.csv, dicts of texts; the unreadable left out.
        damaged: Number of rows that were left out.
        generations: How many the run is to have; None if nothing says so.
        checkpoint: Generation of the newest checkpoint, or None.
        ages: Dict from "history" and "checkpoint" to seconds since the last
            write.
    """

    folder: str
    rows: list
    damaged: int
    generations: int | None
    checkpoint: int | None
    ages: dict


def read(folder):
    """`Status` of the run in a folder.

    Raises:
        FileNotFoundError: It is no folder of a run.
    """
    history = os.path.join(folder, "history.csv")
    marks = ("experiment.json", "config.gin", "history.csv")
    if not any(os.path.isfile(os.path.join(folder, m)) for m in marks):
        raise FileNotFoundError(
            "The folder of a run must have an experiment.json, which training "
            f"writes first. Received: {folder!r}"
        )
    rows, damaged, ages = [], 0, {}
    if os.path.isfile(history):
        rows, damaged = _rows(history)
        ages["history"] = time.time() - os.path.getmtime(history)
    checkpoint, written = _newest_checkpoint(folder)
    if written is not None:
        ages["checkpoint"] = time.time() - written
    return Status(folder, rows, damaged, _generations(folder), checkpoint, ages)


def report(status):
    """Lines that say it to a person."""
    yield f"{status.folder}: {_task(status.folder)}"
    if not status.rows:
        yield "no generation is done yet"
    else:
        yield from _progress(status)
    if status.checkpoint is None:
        yield "no checkpoint yet"
    else:
        age = duration(status.ages["checkpoint"])
        yield f"last checkpoint: generation {status.checkpoint}, {age} ago"
    for warning in warnings(status):
        yield f"warning: {warning}"


def _progress(status):
    last = status.rows[-1]
    total = status.generations
    of = f" of {total}" if total else ""
    done = int(float(last["generation"]))
    seconds = float(last["seconds"])
    yield (
        f"generation {done}{of}, {last['outer_step']} outer steps, "
        f"{duration(seconds)} of training"
    )
    first, best = (float(r["best_score"]) for r in (status.rows[0], last))
    yield f"best score {best:.4f} (at the start {first:.4f}; lower is better)"
    speed = float(last["inner_steps_per_second"])
    yield f"{speed:,.0f} inner steps/s"
    if total and 0 < done < total:
        left = seconds / (done + 1) * (total - done)
        yield f"about {duration(left)} left, if it runs"


def warnings(status):
    """What looks wrong, as texts."""
    if status.damaged:
        yield f"history.csv has {status.damaged} unreadable rows"
    if not status.rows:
        return
    last = status.rows[-1]
    if not math.isfinite(float(last["best_score"])):
        yield "the best score is not finite"
    recent = [float(r["accepted_fraction"]) for r in status.rows[-10:]]
    if len(recent) == 10 and max(recent) == 0.0:
        yield "no child was accepted in the last 10 generations"
    done = int(float(last["generation"]))
    if status.checkpoint is not None and status.checkpoint < done - 1:
        yield (
            f"the newest checkpoint is of generation {status.checkpoint}: what "
            "came after it would be done again"
        )
    usual = float(last["seconds"]) / (done + 1)
    if (status.generations or 0) > done and status.ages["history"] > max(
        60.0, 10.0 * usual
    ):
        age = duration(status.ages["history"])
        yield (
            f"nothing was written for {age}: it has stopped, by its time limit "
            "or otherwise; the command that started it continues it, after a "
            "time limit with a higher one"
        )


def _rows(path):
    """Readable rows of a history.csv, and how many are not."""
    needed = "generation", "outer_step", "best_score", "accepted_fraction"
    needed += "inner_steps_per_second", "seconds"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    good = [row for row in rows if all(_is_number(row.get(k)) for k in needed)]
    return good, len(rows) - len(good)


def _is_number(text):
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _newest_checkpoint(folder):
    """Generation of the newest checkpoint and when it was written."""
    try:
        entries = list(os.scandir(os.path.join(folder, "checkpoints")))
    except OSError:
        return None, None
    found = [
        (int(match[1]), entry.stat().st_mtime)
        for entry in entries
        if (match := re.fullmatch(r".*-(\d+)\.index", entry.name))
    ]
    return max(found, default=(None, None))


def _generations(folder):
    return planned_generations(_read(os.path.join(folder, "config.gin")))


def _task(folder):
    try:
        found = json.loads(_read(os.path.join(folder, "experiment.json")))
        return f"rule {found['rule']['type']}, seed {found['seed']}"
    except (ValueError, KeyError, TypeError):
        return "experiment.json is missing or can't be read"


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""

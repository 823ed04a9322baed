"""The rows of history.csv and members.csv."""

import base64
import csv
import io
import zlib

import numpy as np

from keras_lopt.training.scoring import problem_set


def generation_row(experiment, state, members, accepted, losses):
    """A generation in numbers.

    Args:
        experiment: An `Experiment`.
        state: The `PopulationState` after it.
        members: `population.Members` whose scores the row shows.
        accepted: [p] bool, where the child took its member's place.
        losses: [p] outer losses of the last outer step.
    """
    best, steps = members.best, inner_steps(experiment, state.generation)
    return {
        "generation": state.generation,
        "outer_step": state.generation * experiment.schedule.outer_steps,
        "best_score": float(members.scores[best]),
        "median_score": float(np.median(members.scores)),
        "worst_score": float(np.max(members.scores)),
        "best_train_loss": float(members.train_losses[best]),
        "accepted_fraction": float(np.mean(accepted)),
        "mean_outer_loss": float(np.mean(losses)),
        "best_multiplier": float(members.multipliers[best]),
        "best_id": int(members.ids[best]),
        "inner_steps": steps,
        "inner_steps_per_second": steps / state.seconds,
        "seconds": state.seconds,
        **_task_columns(experiment.mixture.tasks, members, state.task_steps),
    }


def inner_steps(experiment, generation):
    """Inner steps of training and scoring up to the end of a generation."""
    # Problems are redrawn at the beginning of a generation, not at its end.
    redraws = problem_set(experiment, max(0, generation - 1))
    scorings = experiment.schedule.candidates + generation + redraws
    outer_steps = generation * experiment.schedule.outer_steps
    return (
        outer_steps * experiment.inner_steps_per_outer_step
        + scorings * experiment.inner_steps_per_scoring
    )


def _task_columns(tasks, members, task_steps):
    """The best member's score on each task, and each task's share of steps."""
    if len(tasks) == 1:  # Its score is the score.
        return {}
    names = [task.name for task in tasks]
    scores = members.task_scores[members.best]
    shares = task_steps / max(1, np.sum(task_steps))
    return {
        **{f"score/{n}": float(score) for n, score in zip(names, scores)},
        **{f"share/{n}": float(share) for n, share in zip(names, shares)},
    }


def best_record(experiment, state):
    """The best member and when it became that, for best.safetensors."""
    members, best = state.members, state.members.best
    if state.best is not None and state.best["id"] == members.ids[best]:
        return state.best
    return {
        "id": int(members.ids[best]),
        "generation": state.generation,
        "outer_step": state.generation * experiment.schedule.outer_steps,
        "score": float(members.scores[best]),
        "train_loss": float(members.train_losses[best]),
    }


def csv_text(rows, header=True):
    """Rows, a list of dicts, as CSV; "" without rows."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, rows[0].keys())
        if header:
            writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def packed(rows):
    """Rows as short text, for checkpoints: they hold all of members.csv."""
    content = zlib.compress(csv_text(rows).encode(), 9)
    return base64.b85encode(content).decode()


def unpacked_csv(parts):
    """The CSV text of rows, from a list of texts of `packed`."""
    lines = []
    for part in parts:
        text = zlib.decompress(base64.b85decode(part)).decode()
        own = text.splitlines(keepends=True)
        lines += own[1:] if lines else own
    return "".join(lines)


def child_rows(generation, report):
    """Who came from whom, was taught by whom, and was accepted.

    Args:
        generation: Number of the children's generation.
        report: Its `generation.Report`.
    """
    children = report.children
    return [
        {
            "generation": generation,
            "id": int(children.ids[i]),
            "parent": int(children.parents[i]),
            "teacher": int(report.teacher_ids[i]),
            "multiplier": float(children.multipliers[i]),
            "score": float(children.scores[i]),
            "accepted": int(report.accepted[i]),
        }
        for i in range(len(children.ids))
    ]

"""Runs against each other: what is counted, written and refused."""

import csv
import json

import numpy as np
import pytest

from keras_lopt import checkpoints, evaluation, rules, tasks
from keras_lopt.evaluation.training_runs import steps_until

HEAD = "generation,outer_step,best_score,best_train_loss"
RULE = rules.get("fused", hidden_units=1, hidden_layers=1)


def history(losses):
    steps = 10.0 * np.arange(len(losses))
    return {"outer_step": steps, "best_train_loss": np.array(losses)}


@pytest.mark.parametrize(
    "losses, expected",
    [
        ([2.0, 1.0, 0.1, 0.05], 20.0),
        ([2.0, 0.1, 1.0, 0.1], 30.0),  # For good, not for a while.
        ([0.1, 0.1], 0.0),
        ([2.0, 1.0], np.inf),
        ([0.1, np.nan], np.inf),
    ],
)
def test_steps_until_a_loss_is_passed_for_good(losses, expected):
    assert steps_until(history(losses), 0.5) == expected


def write_run(folder, seed, score):
    checkpoints.save(
        folder / "best.safetensors", RULE, RULE.init_theta(seed), {}
    )
    rows = [f"0,0,9.0,{score + 1}", f"1,10,{score},{score}"]
    (folder / "history.csv").write_text("\n".join([HEAD, *rows]))
    return str(folder)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Folder and rows of a comparison of runs that never trained."""
    folder = tmp_path_factory.mktemp("compared")
    same = write_run(folder / "a", 0, 0.01)
    runs = {
        "a": [same],
        "a again": [same],
        "two": [same, write_run(folder / "b", 1, 4.0)],
    }
    rows = evaluation.compare_runs(
        str(folder / "table"),
        runs=runs,
        problem=evaluation.Problem(
            "tiny",
            lambda: tasks.digits_mlp(4, (2,), batch_size=8),
            num_steps=3,
        ),
        seeds=2,
        rates=(0.1,),
    )
    return folder / "table", rows


def test_a_row_is_the_mean_of_its_runs(compared):
    _, (first, again, two) = compared
    assert {**again, "label": "a"} == first
    assert (two["runs"], two["outer_steps"]) == (2, 10)
    assert two["best_score"] == pytest.approx((0.01 + 4.0) / 2)
    assert two["runs_below_adam"] == 1  # Adam has about 2 nats.
    assert two["mean_train_loss"] != first["mean_train_loss"]


def test_differences_from_adam_are_of_the_same_problems(compared):
    folder, rows = compared
    adam = json.loads((folder / "runs.json").read_text())["tuned_adam"]
    for row in rows:
        for metric in ("mean_train_loss", "test_loss"):
            assert row[f"{metric}_minus_adam"] == pytest.approx(
                row[metric] - adam[metric], abs=1e-6
            )


def test_files(compared):
    folder, rows = compared
    with open(folder / "runs.csv", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == ["a", "a again", "two"]
    assert json.loads((folder / "runs.json").read_text())["rows"] == rows
    assert (folder / "runs.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.*history.csv"):
        evaluation.compare_runs(
            str(tmp_path / "table"), runs={"x": ["nowhere"]}, problem=None
        )
    assert not (tmp_path / "table").exists()

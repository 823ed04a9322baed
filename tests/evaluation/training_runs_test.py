"""Training runs: their histories, and what a comparison counts and writes."""

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
        ([2.0, 0.1, 1.0, 0.1], 30.0),  # It was below before, but not to stay.
        ([0.1, 0.1], 0.0),
        ([2.0, 1.0], np.inf),
        ([0.1, np.nan], np.inf),
    ],
)
def test_steps_are_counted_until_the_loss_stays_below(losses, expected):
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
        benchmark=evaluation.Benchmark(
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


def test_the_table_is_written_as_csv_json_and_a_plot(compared):
    folder, rows = compared
    with open(folder / "runs.csv", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == ["a", "a again", "two"]
    assert json.loads((folder / "runs.json").read_text())["rows"] == rows
    assert (folder / "runs.png").read_bytes().startswith(b"\x89PNG")


def test_a_recorded_run_is_found_by_its_name_from_anywhere(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = evaluation.run_folder("selection_only_1")
    assert checkpoints.load(folder)[0].name == "fused"
    with pytest.raises(FileNotFoundError, match="mean 'self_training_3'"):
        evaluation.run_folder("self_trianing_3")


def test_a_missing_run_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="history.csv.*nowhere"):
        evaluation.compare_runs(
            str(tmp_path / "table"), runs={"x": ["nowhere"]}, benchmark=None
        )
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize("runs", [{}, None, ["a"], {"a": []}, {"a": "folder"}])
def test_bad_runs_are_refused_before_anything_is_read(runs, tmp_path):
    with pytest.raises(ValueError, match="`runs` must be a dict from labels"):
        evaluation.compare_runs(
            str(tmp_path / "table"), runs=runs, benchmark=None
        )
    assert not (tmp_path / "table").exists()


@pytest.fixture
def history_file(tmp_path):
    """Callable: lines -> path of a history.csv with these lines."""

    def write(*lines):
        path = tmp_path / "history.csv"
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return write


def test_a_history_has_an_array_per_column(history_file):
    found = evaluation.read_history(
        history_file(HEAD, "0,0,2.5,nan", "1,10,-1e-3,inf")
    )
    expected = {
        "generation": [0.0, 1.0],
        "outer_step": [0.0, 10.0],
        "best_score": [2.5, -0.001],
        "best_train_loss": [np.nan, np.inf],
    }
    assert list(found) == HEAD.split(",")
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("lines", [[], [HEAD]])
def test_a_history_without_rows_is_refused(lines, history_file):
    path = history_file(*lines)
    with pytest.raises(ValueError) as caught:
        evaluation.read_history(path)
    assert str(caught.value) == (
        "A history.csv must have a line of column names and one or more rows "
        f"of numbers. Received: {path}, which has no rows"
    )


@pytest.mark.parametrize(
    "line, found",
    [
        ("1,10,1.5", "None in column 'best_train_loss'"),
        ("1,10,1.5,", "'' in column 'best_train_loss'"),
        ("1,10,1.5e,2", "'1.5e' in column 'best_score'"),
        ("1,ten,1.5,2", "'ten' in column 'outer_step'"),
        ("1,10,1.5,2,7,8", "2 values more than there are columns"),
    ],
)
def test_a_damaged_history_is_refused_with_its_line(line, found, history_file):
    path = history_file(HEAD, "0,0,2.5,2.5", line)
    with pytest.raises(ValueError) as caught:
        evaluation.read_history(path)
    assert str(caught.value) == (
        "A history.csv must have one number per column in every row. "
        f"Received: {path}, line 3: {found}; remove the damaged line"
    )


def test_a_missing_history_is_named():
    with pytest.raises(FileNotFoundError, match="history.csv.*nowhere"):
        evaluation.read_history("nowhere/history.csv")

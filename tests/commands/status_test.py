"""keras-lopt status: what it says of runs in all conditions."""

import os
import time

import pytest

from keras_lopt.commands import main, status

HEAD = (
    "generation,outer_step,best_score,accepted_fraction,"
    "inner_steps_per_second,seconds\n"
)


@pytest.fixture
def run(tmp_path):
    """Folder of a run of 40 generations, 20 of which are done."""
    (tmp_path / "experiment.json").write_text(
        '{"rule": {"type": "FusedRule"}, "seed": 3}'
    )
    (tmp_path / "config.gin").write_text("training.run.generations = 40\n")
    write_history(tmp_path, range(21))
    (tmp_path / "checkpoints").mkdir()
    for number in (9, 20):
        (tmp_path / "checkpoints" / f"ckpt-{number}.index").touch()
    return tmp_path


def write_history(folder, generations, accepted=0.5, score=None):
    rows = (
        f"{i},{10 * i},{score or 2.0 / (i + 1)},{accepted},20000.0,{3.0 * i}\n"
        for i in generations
    )
    (folder / "history.csv").write_text(HEAD + "".join(rows))


def said(folder):
    return list(status.report(status.read(folder)))


def test_says_how_far_a_run_is(run):
    assert said(run) == [
        f"{run}: rule FusedRule, seed 3",
        "generation 20 of 40, 200 outer steps, 60 s of training",
        "best score 0.0952 (at the start 2.0000; lower is better)",
        "20,000 inner steps/s",
        "about 57 s left, if it runs",
        "last checkpoint: generation 20, 0 s ago",
    ]


def test_a_run_that_has_begun(tmp_path):
    (tmp_path / "experiment.json").write_text("{")
    assert said(tmp_path) == [
        f"{tmp_path}: experiment.json is missing or can't be read",
        "no generation is done yet",
        "no checkpoint yet",
    ]


@pytest.mark.parametrize(
    "change, warning",
    [
        ({"score": "nan"}, "the best score is not finite"),
        ({"accepted": 0.0}, "no child was accepted in the last 10 generations"),
        ({"generations": range(30)}, "the newest checkpoint is of generation"),
    ],
)
def test_warns(run, change, warning):
    write_history(run, **{"generations": range(21), **change})
    (line,) = (li for li in said(run) if li.startswith("warning: "))
    assert warning in line


def test_warns_of_a_damaged_row(run):
    with open(run / "history.csv", "a") as file:
        file.write("21,2")
    assert "warning: history.csv has 1 unreadable rows" in said(run)
    assert any("generation 20 of 40" in line for line in said(run))


def test_warns_of_a_run_that_writes_nothing(run):
    then = time.time() - 3600
    os.utime(run / "history.csv", (then, then))
    assert "nothing was written for 60 min" in said(run)[-1]


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-lopt status: The folder of a run must have")

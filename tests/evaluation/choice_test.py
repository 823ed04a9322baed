"""The choice of a release: the funnel, its scores, and what is refused."""

import csv
import math

import numpy as np
import pytest

from keras_lopt import checkpoints, evaluation, rules
from keras_lopt.evaluation import choice
from keras_lopt.evaluation.rate_curves import RateCurves
from keras_lopt.tasks import suites

RULE = rules.get("sgdm")
ENTRIES = tuple(
    suites._entry("quadratic", 20, 1, size=size, numbers=(1.0, 2.0))
    for size in (2, 3)
)


def save(folder, generation, rate, rule=RULE):
    theta = {**rule.init_theta(0), "log_lr": np.float32(math.log(rate))}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"generation_{generation:06d}.safetensors"
    checkpoints.save(path, rule, theta, {"generation": generation})


def test_the_best_snapshot_is_released(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(suites._SUITES, "two", ENTRIES)
    for generation, rate in enumerate((1e-6, 0.02, 1e-3, 1e3)):
        save(tmp_path / "snapshots", generation, rate)
    rows = evaluation.choose(
        str(tmp_path),
        str(tmp_path / "out"),
        suite="two",
        cheap=1,
        finalists=2,
        baselines=("adam",),
        rates=(0.1,),
    )
    order = [int(row["snapshot"][11:17]) for row in rows]
    assert order == [1, 2, 0, 3]
    assert [row["is_finalist"] for row in rows] == [True, True, False, False]
    assert rows[3]["score"] == pytest.approx(-math.log(choice.MOST))
    labels = [entry.label for entry in ENTRIES]
    assert rows[0][labels[1]] != "" and rows[2][labels[1]] == ""
    _, _, metadata = checkpoints.load(tmp_path / "out" / "release.safetensors")
    assert metadata["generation"] == 1
    assert metadata["choice"]["score"] == rows[0]["score"]
    with open(tmp_path / "out" / "choice.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    assert "chosen: generation_000001" in capsys.readouterr().out


def test_a_score_is_the_mean_of_log_ratios():
    def curves(final, test):
        losses = np.array([[2.0, final]])
        return RateCurves((1.0,), 2.0, np.arange(2) + 1, losses, [test])

    known = {"adam": curves(1.0, 1.0), "adam_cosine": curves(0.5, 1.0)}
    found = choice.score(known, curves(0.5, 2.0), test_weight=0.25)
    assert found == pytest.approx(
        (0.75 * math.log(2.0) - 2 * 0.25 * math.log(2.0)) / 2
    )


def test_a_folder_without_snapshots_is_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="has none; train with .*snapshot_minutes"
    ):
        evaluation.choose(str(tmp_path), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_snapshots_of_several_rules_are_refused(tmp_path):
    save(tmp_path / "snapshots", 1, 0.1)
    save(tmp_path / "snapshots", 2, 0.1, rules.get("adam"))
    with pytest.raises(ValueError, match="snapshots of one rule"):
        evaluation.choose(str(tmp_path), str(tmp_path / "out"))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"cheap": 9}, r"`cheap` must be an integer in \[1, 8\]"),
        ({"finalists": 0}, "`finalists` must be an integer >= 1"),
        ({"test_weight": 2.0}, "`test_weight` must be"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        evaluation.choose("nowhere", "out", **changes)

"""A suite's evaluation: what is trained, archived, reported and refused."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from keras_lopt import checkpoints, evaluation, rules, tasks
from keras_lopt.evaluation import archive
from keras_lopt.evaluation.hand_designed import BASELINES
from keras_lopt.evaluation.rate_curves import RateCurves
from keras_lopt.tasks import suites

RATES = (0.001, 0.01, 0.1)
RULE = rules.get("fused", hidden_units=1, hidden_layers=1)
ENTRIES = (
    suites._entry("tabular", 20, 1, data="wine", hidden=(), batch_size=8),
    suites._entry("mlp", 20, 1, data="tfds:no_such_builder", hidden=(4,)),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder and rows of the evaluation of a suite of two tasks."""
    folder = tmp_path_factory.mktemp("suite")
    path = folder / "best.safetensors"
    checkpoints.save(path, RULE, RULE.init_theta(0), {"outer_step": 7})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(suites._SUITES, "two", ENTRIES)
        rows = evaluation.run_suite(
            str(path), str(folder / "out"), suite="two", rates=RATES
        )
    return folder / "out", rows


def test_every_task_has_a_row_and_absent_data_are_named(written):
    folder, (row, skipped) = written
    assert row["steps"] == 20 and row["params"] == 13 * 3 + 3
    assert row["adam_rate"] in RATES and row["adam_cosine_rate"] in RATES
    assert np.isfinite(row["final"]) and row["adam_final"] < row["start"]
    assert skipped == {
        "task": ENTRIES[1].label,
        "family": "mlp",
        "skipped": "its data is not here",
    }
    with open(folder / "summary.csv", newline="") as file:
        assert [r["task"] for r in csv.DictReader(file)] == [
            entry.label for entry in ENTRIES
        ]


def test_the_report_begins_with_a_verdict_and_has_every_task(written):
    folder, _ = written
    page = (folder / "index.html").read_text()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"].startswith("Of 1 tasks, one untuned run each")
    assert summary["verdict"] in page and "Worse than Adam here" in page
    assert page.index(summary["verdict"]) < page.index("<table>")
    assert page.count("data:image/png;base64,") == 1
    assert "skipped: its data is not here" in page


def archived(folder):
    return sorted(path.name for path in (folder / "baselines").iterdir())


def test_curves_in_the_archive_are_not_trained_again(written, monkeypatch):
    folder, _ = written
    task, adam = ENTRIES[0].task(), BASELINES["adam"]
    assert archived(folder) == [
        archive.file_name(ENTRIES[0], BASELINES[name], RATES)
        for name in ("adam", "adam_cosine")
    ]
    monkeypatch.setattr(archive, "train_baseline", None)
    curves = archive.baseline_curves(
        ENTRIES[0], task, adam, RATES, (folder / "baselines",)
    )
    assert curves.rates == RATES and curves.losses.shape == (3, 20)


def test_curves_of_other_versions_are_refused_or_trained_again(
    written, monkeypatch
):
    folder, _ = written
    task, adam = ENTRIES[0].task(), BASELINES["adam"]
    trained = RateCurves(RATES, 1.0, np.arange(2), np.ones([3, 2]), np.ones(3))
    monkeypatch.setattr(archive, "train_baseline", lambda *args: trained)
    monkeypatch.setattr(archive, "write", lambda *args: None)
    monkeypatch.setattr(archive.keras, "__version__", "2.0.1")
    asked = ENTRIES[0], task, adam, RATES, (folder / "baselines",)
    with pytest.raises(
        ValueError,
        match=r"`versions` is .* instead of {'keras': '2.0'.*recompute",
    ):
        archive.baseline_curves(*asked)
    assert archive.baseline_curves(*asked, stale="recompute") is trained


def test_a_changed_task_has_another_key(monkeypatch):
    task, adam = ENTRIES[0].task(), BASELINES["adam"]
    before = archive.identity(ENTRIES[0], task, adam, RATES)
    varied = dataclasses.replace(task.variation, label_permutation=True)
    monkeypatch.setattr(task, "variation", varied)
    after = archive.identity(ENTRIES[0], task, adam, RATES)
    assert archive.key_of(before) != archive.key_of(after)
    assert archive.key_of(before) == archive.key_of(
        json.loads(json.dumps(before))
    )


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "file.npz"
    path.write_bytes(b"PK no more")
    with pytest.raises(ValueError, match="file.npz, which can't be read"):
        archive.read(path, {})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"suite": "all"}, "`name` must be one of the suites"),
        ({"baselines": ["lion"]}, "`baselines` must be a list of 'adam'"),
        ({"rates": ()}, "`rates` must be one or more finite numbers"),
        ({"stale": "keep"}, "`stale` must be one of"),
        ({"horizon_factor": 0.0}, "`horizon_factor` must be"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_read(
    changes, message, tmp_path
):
    settings = {"suite": "tiny", **changes}
    with pytest.raises(ValueError, match=message):
        evaluation.run_suite("nowhere", str(tmp_path / "out"), **settings)
    assert not (tmp_path / "out").exists()


def test_the_general_suites_share_no_task():
    validation, test = map(suites.get, ("general_validation", "general_test"))
    assert len(test) >= 30 and len(validation) == 8
    labels = [entry.label for entry in (*validation, *test)]
    assert len(set(labels)) == len(labels)
    assert all(200 <= entry.horizon <= 2000 for entry in test)
    assert not {data(e) for e in test} & {data(e) for e in validation} - {
        None,
        "digits8:test",
        "digits4:test",
        "modules",
    }


def data(entry):
    return entry.config.get("data", entry.config.get("source"))


def test_held_out_examples_are_those_of_one_split():
    digits = tasks.datasets.get("digits8")
    held = tasks.datasets.get("digits8:test")
    start, size = digits.range("test")
    np.testing.assert_array_equal(held.inputs, digits.inputs[start:])
    assert held.size == size == sum(n for _, n in held.splits.values())
    with pytest.raises(ValueError, match="`split` must be one of"):
        tasks.datasets.get("digits8:all")

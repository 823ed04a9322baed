"""Comparison: metrics on curves that are known, and a small real one."""

import dataclasses
import json

import numpy as np
import pytest

from keras_lopt import LearnedOptimizer, checkpoints, evaluation, rules, tasks
from keras_lopt.evaluation import comparison as comparisons
from keras_lopt.evaluation import report
from keras_lopt.evaluation.curves import Curve

STEPS = 6


def curve(start, decay=0.5, test_loss=0.1):
    return Curve(start * decay ** np.arange(STEPS), test_loss, 0.9)


@pytest.fixture
def known():
    return evaluation.Comparison(
        "known",
        STEPS,
        ours=[curve(1.0, test_loss=0.3), curve(2.0, test_loss=0.1)],
        adam={
            0.1: [curve(1.5, test_loss=0.5), curve(1.5, test_loss=0.5)],
            0.01: [curve(9.0, test_loss=0.2), curve(9.0, test_loss=0.2)],
            1.0: [curve(np.nan), curve(1.0)],
        },
    )


def test_adam_is_tuned_for_each_metric_and_divergence_never_wins(known):
    assert known.best_learning_rate("mean_train_loss") == 0.1
    rate = known.best_learning_rate("test_loss")
    tests = {rate: [c.test_loss for c in cs] for rate, cs in known.adam.items()}
    assert rate == min(tests, key=lambda r: np.mean(tests[r]))


def test_row_counts_seeds_and_pairs_differences(known):
    row = known.row("mean_train_loss")
    mean = np.mean(0.5 ** np.arange(STEPS))
    assert row["ours"] == pytest.approx(1.5 * mean)
    assert row["difference"] == pytest.approx(0.0)
    assert row["difference_error"] == pytest.approx(0.5 * mean)
    assert (row["seeds"], row["seeds_better"]) == (2, 1)
    assert report.verdict(row) == "equal"


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, 1.0), (100.0, 0.0), (1e-9, 6.0)]
)
def test_speed_up(known, factor, expected):
    adam = known.adam[0.1]
    ours = [
        dataclasses.replace(c, train_losses=factor * c.train_losses)
        for c in adam
    ]
    assert dataclasses.replace(known, ours=ours).speed_up == expected


def test_smooth_keeps_a_constant():
    np.testing.assert_allclose(comparisons.smooth(np.full(9, 2.5)), 2.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"seeds": 0}, "seeds=0"), ({"seeds": 1, "rates": (0.0,)}, "rates=")],
)
def test_compare_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.compare("x", None, None, 5, **arguments)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report of a rule that was never trained, and its rows."""
    folder = tmp_path_factory.mktemp("run")
    rule = rules.get("fused")
    checkpoints.save(
        folder / "best.safetensors", rule, rule.init_theta(0), {"outer_step": 7}
    )
    (folder / "history.csv").write_text(
        "generation,outer_step,best_score,median_score,worst_score,"
        "best_train_loss,accepted_fraction\n"
        "0,0,2.3,2.4,2.6,2.3,1.0\n1,10,1.3,1.9,2.4,1.2,0.5\n"
    )
    problem = evaluation.Problem(
        "tiny", lambda: tasks.digits_mlp(4, (4,), batch_size=8), num_steps=5
    )
    rows = evaluation.run(
        str(folder),
        str(folder / "report"),
        problems=[problem],
        seeds=2,
        rates=(0.01, 0.1),
        controls={"a control": str(folder)},
    )
    return folder / "report", rows


def test_report_is_one_page_that_needs_nothing_else(written):
    folder, rows = written
    page = (folder / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("<!doctype html>", "")
    assert "7 outer steps" in page and "tiny" in page
    assert (folder / "figure_1.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "summary.json").read_text()) == rows
    assert len((folder / "summary.csv").read_text().splitlines()) == 3


def test_rows_are_of_the_same_problems(written):
    _, rows = written
    assert [row["metric"] for row in rows] == ["mean_train_loss", "test_loss"]
    for row in rows:
        assert row["seeds"] == 2
        assert row["difference"] == pytest.approx(row["ours"] - row["adam"])


def test_missing_control_is_named(written):
    with pytest.raises(FileNotFoundError, match="history.csv.*nowhere"):
        evaluation.read_history("nowhere/history.csv")


def test_runs_repeat_exactly_and_differ_between_problems():
    rule = rules.get("fused")
    optimizer = LearnedOptimizer(rule, rule.init_theta(0))
    task = tasks.digits_mlp(4, (4,), batch_size=8)
    trainee = evaluation.Trainee(task, optimizer, num_steps=4)
    first, other, again = (trainee.train(i) for i in (0, 1, 0))
    np.testing.assert_array_equal(first.train_losses, again.train_losses)
    assert first.test_loss == again.test_loss
    assert not np.allclose(first.train_losses, other.train_losses)

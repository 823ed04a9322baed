"""One evaluation: what is trained, reported and refused."""

import dataclasses
import json

import numpy as np
import pytest

from keras_lopt import checkpoints, config, evaluation, rules, tasks
from keras_lopt.evaluation import comparison as comparisons
from tests import tiny

RULE = rules.get("fused", hidden_units=1, hidden_layers=1)
HISTORY = (
    "generation,outer_step,best_score,median_score,worst_score,"
    "best_train_loss,accepted_fraction\n"
    "0,0,2.3,2.4,2.6,2.3,1.0\n1,10,1.3,1.9,2.4,1.2,0.5\n"
)


def save(folder):
    """Writes a rule that was never trained."""
    path = folder / "best.safetensors"
    checkpoints.save(path, RULE, RULE.init_theta(0), {"outer_step": 7})
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder and rows of a report of a small evaluation."""
    folder = tmp_path_factory.mktemp("run")
    save(folder)
    (folder / "history.csv").write_text(HISTORY)
    benchmark = evaluation.Benchmark(
        "tiny", lambda: tasks.digits_mlp(4, (4,), batch_size=8), num_steps=5
    )
    rows = evaluation.run(
        str(folder),
        str(folder / "report"),
        benchmarks=[benchmark],
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


def test_rows_compare_the_same_problems(written):
    _, rows = written
    assert [row["metric"] for row in rows] == ["mean_train_loss", "test_loss"]
    for row in rows:
        assert row["seeds"] == 2
        assert row["difference"] == pytest.approx(row["ours"] - row["adam"])


@pytest.fixture
def compared(monkeypatch, known):
    """List of the arguments of comparisons, none of which trains anything."""
    calls = []

    def compare(*args):
        calls.append(args)
        return known

    monkeypatch.setattr(comparisons, "compare", compare)
    return calls


def test_a_benchmark_may_set_its_own_number_of_problems(compared, tmp_path):
    benchmarks = [
        evaluation.Benchmark("a", lambda: "task a", num_steps=30),
        evaluation.Benchmark("b", lambda: "task b", seeds=3),
    ]
    path = save(tmp_path)
    rows = evaluation.run(
        str(path), str(tmp_path / "out"), benchmarks=benchmarks
    )
    found = [
        (name, task, steps, seeds)
        for name, task, _, steps, seeds, _ in compared
    ]
    assert found == [("a", "task a", 30, 10), ("b", "task b", 200, 3)]
    assert len(rows) == 4
    assert all(
        np.array_equal(optimizer.theta[leaf], value)
        for _, _, optimizer, *_ in compared
        for leaf, value in RULE.init_theta(0).items()
    )


def test_a_file_without_a_history_has_only_the_curves(compared, tmp_path):
    benchmark = evaluation.Benchmark("a", lambda: None)
    evaluation.run(
        str(save(tmp_path)), str(tmp_path / "out"), benchmarks=[benchmark]
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert "known, 6 steps" in page
    assert "How the population" not in page
    assert "(not recorded)" in page


def test_the_page_has_the_configuration_of_the_run(compared, tmp_path):
    save(tmp_path)
    (tmp_path / "operative_config.gin").write_text("a.b = '<c>'\n")
    benchmark = evaluation.Benchmark("a", lambda: None)
    evaluation.run(str(tmp_path), str(tmp_path / "out"), benchmarks=[benchmark])
    page = (tmp_path / "out" / "index.html").read_text()
    assert "a.b = &#39;&lt;c&gt;&#39;" in page


def test_a_run_that_is_not_finished_says_so(compared, tmp_path):
    save(tmp_path)
    (tmp_path / "history.csv").write_text(HISTORY)
    (tmp_path / "config.gin").write_text("training.run.generations = 9\n")
    benchmark = evaluation.Benchmark("a", lambda: None)
    evaluation.run(str(tmp_path), str(tmp_path / "out"), benchmarks=[benchmark])
    page = (tmp_path / "out" / "index.html").read_text()
    assert "This run has done 1 of 9 generations" in page


@pytest.mark.parametrize(
    "factors, choice",
    [
        ((0.5, 0.5), "general is the better choice: general has"),
        ((2.0, 2.0), "this optimizer is the better choice: general has"),
        ((0.5, 2.0), "general is the better choice for the training loss"),
        ((2.0, 0.5), "general is the better choice for the test loss"),
    ],
)
def test_the_page_says_where_another_optimizer_is_better(
    compared, known, monkeypatch, tmp_path, factors, choice
):
    def train(task, optimizer, num_steps, count):
        assert optimizer.rule.name == "scale_free"
        return [
            dataclasses.replace(
                curve,
                train_losses=factors[0] * curve.train_losses,
                test_loss=factors[1] * curve.test_loss,
            )
            for curve in known.ours
        ]

    monkeypatch.setattr(comparisons, "train", train)
    evaluation.run(
        str(save(tmp_path)),
        str(tmp_path / "out"),
        benchmarks=[evaluation.Benchmark("a", lambda: None)],
        other="general",
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert f"On known, 6 steps, {choice}" in page


def test_adam_is_drawn_in_the_measure_of_the_scores(
    compared, known, monkeypatch, tmp_path
):
    """Scores of an experiment with log losses are means of logs."""
    save(tmp_path)
    (tmp_path / "history.csv").write_text(HISTORY)
    drawn = []

    def plot_history(history, controls, adam_loss):
        drawn.append(adam_loss)
        return original(history, controls, adam_loss)

    original = evaluation.plots.plot_history
    monkeypatch.setattr(evaluation.plots, "plot_history", plot_history)
    settings = {"outer_loss": "log_loss", "log_floor": 0.1, "log_ceiling": 9.0}
    for metadata in ({}, {"experiment": {"estimator": settings}}):
        path = tmp_path / "best.safetensors"
        checkpoints.save(path, RULE, RULE.init_theta(0), metadata)
        benchmark = evaluation.Benchmark("a", tiny.task)
        evaluation.run(
            str(tmp_path), str(tmp_path / "out"), benchmarks=[benchmark]
        )
    means = {
        rate: np.mean(
            np.log(
                0.1 + np.minimum([curve.train_losses for curve in curves], 9.0)
            )
        )
        for rate, curves in known.adam.items()
    }
    assert drawn[0] == known.row("mean_train_loss")["adam"]
    assert drawn[1] == pytest.approx(min(means.values()), rel=1e-5)


@pytest.mark.parametrize("benchmarks", [[], None, "digits", ["digits"]])
def test_bad_benchmarks_are_refused_before_anything_is_read(benchmarks):
    with pytest.raises(
        ValueError, match="`benchmarks` must be a list of one or more"
    ):
        evaluation.run("nowhere", "out", benchmarks=benchmarks)


def test_a_missing_control_is_named(tmp_path):
    benchmark = evaluation.Benchmark("a", lambda: None)
    with pytest.raises(FileNotFoundError, match="history.csv.*nowhere"):
        evaluation.run(
            str(save(tmp_path)),
            str(tmp_path / "out"),
            benchmarks=[benchmark],
            controls={"a control": "nowhere"},
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "gin_file, steps, seeds",
    [
        ("evaluate_quickstart.gin", [200, 1000], [10, 3]),
        ("evaluate_honest.gin", [200, 1000, *[200] * 6], [10] * 8),
    ],
)
def test_shipped_evaluations_bind_their_benchmarks(
    gin_file, steps, seeds, compared, tmp_path
):
    bindings = ["evaluation.run.other = None"]
    config.load([gin_file], bindings, str(tiny.CONFIGS))
    out_dir = str(tmp_path / "out")
    config.call(evaluation.run, str(save(tmp_path)), out_dir)
    names, built, _, found_steps, found_seeds, rates = zip(*compared)
    assert names[0] == "digits 8x8, MLP 64-32-10"
    assert built[0].name == "digits8x8_mlp_64-32-10"
    assert all(isinstance(task, tasks.Task) for task in built)
    assert list(found_steps) == steps
    assert list(found_seeds) == seeds
    assert set(rates) == {comparisons.LEARNING_RATES}

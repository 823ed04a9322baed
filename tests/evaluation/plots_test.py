"""Plots: the lines that they draw."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import colors

import keras_lopt
from keras_lopt.evaluation import plots

pytestmark = pytest.mark.usefixtures("closed_figures")


def lines_of(axes):
    """Dict from the label of a line to its x and y."""
    return {
        line.get_label(): (line.get_xdata(), line.get_ydata())
        for line in axes.get_lines()
    }


def history(count, start=2.0):
    """Columns of a history with `count` rows."""
    losses = start * 0.5 ** np.arange(count)
    return {
        "outer_step": 10.0 * np.arange(count),
        "best_score": losses,
        "median_score": 2.0 * losses,
        "worst_score": 3.0 * losses,
        "best_train_loss": 0.9 * losses,
        "accepted_fraction": np.full(count, 0.25),
    }


def test_running_mean_starts_as_if_the_first_loss_had_been_before():
    losses = np.array([8.0, 2.0, 5.0, 2.0])
    expected = [8.0, (4 * 8 + 2) / 5, (3 * 8 + 7) / 5, (2 * 8 + 9) / 5]
    np.testing.assert_allclose(plots._running_mean(losses), expected)
    np.testing.assert_allclose(
        plots._running_mean(losses, width=2), [8.0, 5.0, 3.5, 3.5]
    )


def test_curves_are_means_over_problems(known):
    (axes,) = plots.plot_curves(known).axes
    lines = lines_of(axes)
    ours = plots._running_mean(1.5 * 0.5 ** np.arange(known.num_steps))
    for label in ("learned optimizer, not tuned", "Adam, tuned (0.1)"):
        np.testing.assert_allclose(lines[label][1], ours)
    assert axes.get_title() == "known"
    assert axes.get_yscale() == "log"


def test_adams_other_rates_are_gray_unless_they_diverge(known):
    (axes,) = plots.plot_curves(known).axes
    gray = [
        line.get_ydata()
        for line in axes.get_lines()
        if line.get_color() == plots.GRAY and len(line.get_ydata())
    ]
    assert len(gray) == 1  # 0.01; the rate 1.0 diverges.
    expected = plots._running_mean(9.0 * 0.5 ** np.arange(known.num_steps))
    np.testing.assert_allclose(gray[0], expected)


def test_a_band_of_wide_spread_stays_above_zero(known, curve):
    ours = [curve(0.001), curve(100.0)]
    (axes,) = plots.plot_curves(dataclasses.replace(known, ours=ours)).axes
    (band,) = (
        c
        for c in axes.collections
        if colors.to_hex(c.get_facecolor()[0]) == plots.OURS
    )
    assert band.get_paths()[0].vertices[:, 1].min() > 0.0


def test_history_has_a_line_per_score_and_control():
    figure = plots.plot_history(history(3), {"a control": history(2, 5.0)})
    axes, below = figure.axes
    lines = lines_of(axes)
    np.testing.assert_array_equal(lines["best"][0], [0.0, 10.0, 20.0])
    np.testing.assert_array_equal(lines["best"][1], [2.0, 1.0, 0.5])
    np.testing.assert_allclose(
        lines["best, training loss"][1], [1.8, 0.9, 0.45]
    )
    np.testing.assert_array_equal(lines["a control"][1], [5.0, 2.5])
    assert len(lines) == 4
    np.testing.assert_array_equal(lines["median"][1], [4.0, 2.0, 1.0])
    assert below.get_ylim() == (0.0, 1.0)


def test_scores_below_zero_are_drawn_on_a_linear_axis():
    rows = history(3)
    assert plots.plot_history(rows, {}).axes[0].get_yscale() == "log"
    for name in ("best_score", "best_train_loss"):
        rows[name] = np.log(rows[name])
    axes, _ = plots.plot_history(rows, {}, -1.0).axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylabel() == "mean log of the loss over a run"


def test_a_history_of_one_row_is_drawn():
    axes, _ = plots.plot_history(history(1), {}).axes
    np.testing.assert_array_equal(lines_of(axes)["best"][1], [2.0])


@pytest.mark.parametrize("adam_loss", [None, 0.3])
def test_history_has_adams_loss_only_if_it_is_given(adam_loss):
    axes, _ = plots.plot_history(history(3), {}, adam_loss).axes
    flat = [
        line
        for line in axes.get_lines()
        if list(line.get_ydata()) == [adam_loss, adam_loss]
    ]
    assert len(flat) == (adam_loss is not None)
    labels = {text.get_text() for text in axes.get_legend().get_texts()}
    assert ("tuned Adam, training loss" in labels) == (adam_loss is not None)
    assert len(axes.texts) == 0  # Nothing is written over the curves.


def test_more_controls_than_colors_are_drawn():
    controls = {str(i): history(2) for i in range(len(plots.CONTROLS) + 3)}
    axes, _ = plots.plot_history(history(2), controls).axes
    assert set(controls) <= set(lines_of(axes))


def test_runs_of_one_label_share_its_color_and_legend_entry():
    runs = {"ours": [history(3), history(2)], "control": [history(4, 7.0)]}
    (axes,) = plots.plot_runs(runs, adam_loss=0.2).axes
    first, second, control = axes.get_lines()[:3]
    assert first.get_color() == second.get_color() != control.get_color()
    assert first.get_linewidth() > control.get_linewidth()
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["ours", "control", "tuned Adam, training loss"]
    np.testing.assert_allclose(
        control.get_ydata(), history(4, 7.0)["best_train_loss"]
    )


def test_the_style_is_that_of_our_figures_only(known):
    before = dict(matplotlib.rcParams)
    figure = plots.plot_curves(known)
    assert dict(matplotlib.rcParams) == before
    assert figure.dpi == 130 and not figure.axes[0].spines["top"].get_visible()


def test_importing_evaluation_changes_nothing_of_matplotlib():
    program = (
        "import matplotlib; before = dict(matplotlib.rcParams)\n"
        "from keras_lopt import evaluation\n"
        "now = dict(matplotlib.rcParams)\n"
        "print([k for k in now if now[k] != before[k]])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MPLBACKEND": "svg"},
        cwd=pathlib.Path(keras_lopt.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert result.stdout == "[]\n", result.stderr


def test_family_tree_leads_from_ancestors_to_the_best():
    members = {
        "generation": np.array([1.0, 1.0, 2.0, 2.0, 3.0]),
        "id": np.array([10.0, 11.0, 12.0, 13.0, 14.0]),
        "parent": np.array([3.0, 4.0, 10.0, 11.0, 12.0]),
        "score": np.array([5.0, 6.0, 4.0, 7.0, 3.0]),
        "accepted": np.array([1.0, 1.0, 1.0, 0.0, 1.0]),
    }
    (axes,) = plots.plot_family(members, best=14.0).axes
    lines = lines_of(axes)
    generations, scores = lines["ancestors of the best member"]
    nan = np.nan
    np.testing.assert_array_equal(generations, [2, 3, nan, 1, 2, nan])
    np.testing.assert_array_equal(scores, [4, 3, nan, 5, 4, nan])
    assert len(lines["accepted children"][0]) == 3 * 2
    (points,) = axes.collections
    np.testing.assert_array_equal(points.get_offsets(), [[2, 7]])

"""Plots of an evaluation and of a population's history."""

import textwrap

import numpy as np
from matplotlib import pyplot as plt
from matplotlib import ticker

from keras_lopt.pictures import (
    ADAM,
    CONTROLS,
    GRAY,
    OURS,
    plot_family,
    styled,
)

__all__ = [
    "plot_curves",
    "plot_family",
    "plot_history",
    "plot_rate_curves",
    "plot_runs",
]


@styled
def plot_curves(comparison):
    """Training curves of a `Comparison`: ours and Adam's, tuned or not."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    best = comparison.best_learning_rate("mean_train_loss")
    for rate, curves in comparison.adam.items():
        losses = _stack(curves).mean(axis=0)
        if rate != best and np.all(np.isfinite(losses)):
            axes.plot(_running_mean(losses), color=GRAY, lw=0.8, alpha=0.7)
    axes.plot([], [], color=GRAY, lw=0.8, label="Adam, other learning rates")
    _band(axes, comparison.adam[best], ADAM, f"Adam, tuned ({best:.3g})")
    _band(axes, comparison.ours, OURS, "learned optimizer, not tuned")
    axes.set(
        xlabel="step",
        ylabel="training loss (nats)",
        title=comparison.name,
    )
    _log_axis(axes)
    axes.legend()
    return figure


@styled
def plot_history(history, controls, adam_loss=None, is_log=None):
    """The best, median and worst scores of a population, and its controls.

    Args:
        history: Dict from `read_history`.
        controls: Dict from a label to such a dict.
        adam_loss: Mean training loss of tuned Adam, drawn as a line; or None.
        is_log: Whether scores are means of logs of losses; default: whether
            one is negative.
    """
    figure, (axes, below) = plt.subplots(
        2,
        1,
        figsize=(6.4, 5.4),
        layout="constrained",
        sharex=True,
        height_ratios=[4, 1],
    )
    steps = history["outer_step"]
    axes.fill_between(
        steps,
        history["best_score"],
        history["worst_score"],
        color=OURS,
        alpha=0.15,
        lw=0,
        label="all members",
    )
    axes.plot(
        steps,
        history["median_score"],
        color=OURS,
        lw=0.8,
        ls="--",
        label="median",
    )
    axes.plot(steps, history["best_score"], color=OURS, lw=2, label="best")
    axes.plot(
        steps,
        history["best_train_loss"],
        color=OURS,
        lw=1,
        ls=":",
        label="best, training loss",
    )
    for color, (label, control) in zip(CONTROLS * 9, controls.items()):
        axes.plot(
            control["outer_step"],
            control["best_score"],
            color=color,
            lw=1.2,
            label=label,
        )
    if adam_loss is not None:
        _adam_line(axes, adam_loss)
    if is_log is None:
        is_log = bool(np.min(history["best_score"]) < 0.0)
    if is_log:
        axes.set(ylabel="mean log of the loss over a run")
    else:
        axes.set(ylabel="mean loss over a run (nats)")
        _log_axis(axes)
    axes.legend(fontsize=8)
    below.fill_between(
        steps, history["accepted_fraction"], color=OURS, alpha=0.4, step="mid"
    )
    below.set(xlabel="outer step", ylabel="children\naccepted", ylim=(0, 1))
    return figure


@styled
def plot_runs(histories, adam_loss):
    """The training losses of the best members of several runs.

    Args:
        histories: Dict from a label to a list of dicts from `read_history`,
            one per run. The first label is drawn bold.
        adam_loss: Mean training loss of tuned Adam.
    """
    figure, axes = plt.subplots(figsize=(6.8, 6.0), layout="constrained")
    for number, (label, runs) in enumerate(histories.items()):
        colors = [OURS, *CONTROLS]
        style = ("-", "--", ":")[number // len(colors) % 3]
        for first, history in enumerate(runs):
            axes.plot(
                history["outer_step"],
                history["best_train_loss"],
                color=colors[number % len(colors)],
                ls=style,
                lw=1.8 if number == 0 else 1.0,
                label=None if first else label,
            )
    _adam_line(axes, adam_loss)
    axes.set(xlabel="outer step", ylabel="training loss over a run (nats)")
    _log_axis(axes)
    # Below the axes: many curves leave it no room among them.
    axes.legend(
        fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2
    )
    return figure


@styled
def plot_rate_curves(title, lines, baselines):
    """Smoothed losses of a task: ours, and baselines with their best rates.

    Args:
        title: Name of the task.
        lines: Dict of `RateCurves`: "ours" and the baselines by name.
        baselines: List of `Baseline`s.
    """
    figure, axes = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
    for color, baseline in zip((ADAM, *CONTROLS) * 2, baselines):
        curves = lines[baseline.name]
        rate = curves.rates[curves.best]
        axes.plot(
            curves.steps,
            curves.losses[curves.best],
            color=color,
            lw=1.2,
            label=f"{baseline.label} ({rate:.2g})",
        )
    ours = lines["ours"]
    axes.plot(ours.steps, ours.losses[0], color=OURS, lw=2, label="learned")
    axes.set_xlabel("step")
    axes.set_title(textwrap.fill(title, 60), fontsize=8)
    if all(np.nanmin(c.losses) > 0.0 for c in lines.values()):
        axes.set_yscale("log")
    axes.legend(fontsize=8)
    return figure


def _adam_line(axes, loss):
    axes.axhline(
        loss, color=ADAM, lw=1, ls="-.", label="tuned Adam, training loss"
    )


def _log_axis(axes):
    """A logarithmic y axis with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def _stack(curves):
    return np.array([curve.train_losses for curve in curves])


def _running_mean(losses, width=5):
    kernel = np.ones(width) / width
    padded = np.concatenate([np.repeat(losses[0], width - 1), losses])
    return np.convolve(padded, kernel, mode="valid")


def _band(axes, curves, color, label):
    """The mean over problems, with a band of one standard deviation."""
    losses = np.array([_running_mean(c) for c in _stack(curves)])
    mean, spread = losses.mean(axis=0), losses.std(axis=0)
    axes.plot(mean, color=color, lw=2, label=label)
    low = np.maximum(mean - spread, 0.5 * mean)
    axes.fill_between(
        range(len(mean)), low, mean + spread, color=color, alpha=0.15, lw=0
    )

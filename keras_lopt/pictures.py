"""The style of our figures, and what can be drawn of a run alone."""

import functools
import io

import numpy as np
from matplotlib import pyplot as plt

OURS, ADAM, GRAY = "#c2410c", "#1d4ed8", "#9ca3af"
CONTROLS = ("#15803d", "#7c3aed", "#0e7490", "#a16207", "#be185d", "#475569")

STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "font.size": 10,
    "legend.frameon": False,
    "figure.dpi": 130,
}


def styled(plot):
    """A function whose figures have our style; other figures keep theirs."""

    @functools.wraps(plot)
    def styled(*args, **kwargs):
        with plt.rc_context(STYLE):
            return plot(*args, **kwargs)

    return styled


@styled
def plot_family(members, best):
    """The family tree of a population: who descends from whom.

    Args:
        members: Columns of a members.csv, one entry per child.
        best: The id of the member whose ancestors are drawn bold.
    """
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    numbers = {int(i): n for n, i in enumerate(members["id"])}
    parents = [numbers.get(int(i)) for i in members["parent"]]
    generations, scores = members["generation"], members["score"]
    accepted = members["accepted"] > 0

    def draw(lines, color, width, label):
        """One line from a parent to its child for each of `lines`."""
        ends = [(parents[n], n) for n in lines if parents[n] is not None]
        axes.plot(
            _broken_line(generations, ends),
            _broken_line(scores, ends),
            color=color,
            lw=width,
            label=label,
        )

    axes.scatter(
        generations[~accepted],
        scores[~accepted],
        color=GRAY,
        s=4,
        label="children that were not accepted",
    )
    draw(np.flatnonzero(accepted), ADAM, 0.6, "accepted children")
    line, number = [], numbers.get(int(best))
    while number is not None:
        line.append(number)
        number = parents[number]
    draw(line, OURS, 2.0, "ancestors of the best member")
    low, high = np.nanpercentile(scores, [0, 90])
    margin = 0.05 * (high - low) + 1e-6
    axes.set_ylim(low - margin, high + margin)
    axes.set(xlabel="generation", ylabel="score (lower is better)")
    axes.legend(fontsize=8)
    return figure


def _broken_line(values, ends):
    """Coordinates of lines from `ends[i][0]` to `ends[i][1]`, with gaps."""
    return np.ravel([(values[a], values[b], np.nan) for a, b in ends])


def png(figure, dpi="figure"):
    """The bytes of a figure as PNG, with its own resolution; closes it."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    plt.close(figure)
    return content.getvalue()

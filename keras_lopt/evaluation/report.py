"""The report: one HTML file that needs nothing else, PNGs, a CSV, a JSON."""

import base64
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from keras_lopt import pictures
from keras_lopt.evaluation import tables

_METRICS = {
    "mean_train_loss": "training loss, mean over the run",
    "test_loss": "test loss at the end",
}
_COLUMNS = [
    "Benchmark",
    "Steps",
    "Ours",
    "Tuned Adam",
    "Difference",
    "Better on",
]
#: What a reader needs to know to read the page.
_WORDS = {
    "learned optimizer": "A small neural network that reads a parameter's "
    "gradient and history and writes its update. Its own weights are trained.",
    "tuned Adam": "Keras's Adam with the learning rate that is best of a grid, "
    "chosen for each row on the same problems. Ours has one run per problem.",
    "nats": "The unit of cross-entropy with natural logarithms. Guessing among "
    "ten classes costs 2.3 nats.",
    "outer step": "One improvement of the learned optimizers' own weights.",
    "generation": "Some outer steps of every member, a scoring, and a "
    "selection.",
    "score": "A member's mean loss over whole training runs, on data that no "
    "gradient sees, or the mean of its logarithm. Lower is better.",
    "accepted": "The share of members that became better in a generation. The "
    "others stay as they were.",
}


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture of the report.

    Attributes:
        title: Its heading.
        means: A line that says what one sees.
        figure: Of matplotlib; it is closed when the report is written.
    """

    title: str
    means: str
    figure: Any


@dataclasses.dataclass(frozen=True)
class Page:
    """What a report says.

    Attributes:
        title: Its heading.
        lead: What was compared, and how.
        rows: One or more dicts, from `Comparison.row`.
        figures: `Figure`s.
        config_text: Configuration of the training run.
        facts: Dict from a name to a text: how the optimizer was made.
        use: Lines of Python that use the optimizer; "" for none.
        notice: What else has to be said first, or "".
        remarks: Sentences on the results.
    """

    title: str
    lead: str
    rows: Sequence[Mapping]
    figures: Sequence[Figure]
    config_text: str
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    use: str = ""
    notice: str = ""
    remarks: Sequence[str] = ()


def write(out_dir, page):
    """Writes the report.

    Args:
        out_dir: Folder for the files; created if it does not exist.
        page: A `Page`.

    Returns:
        Path of the HTML file.
    """
    os.makedirs(out_dir, exist_ok=True)
    figures = []
    for number, figure in enumerate(page.figures):
        png = pictures.png(figure.figure)
        with open(os.path.join(out_dir, f"figure_{number}.png"), "wb") as file:
            file.write(png)
        code = base64.b64encode(png).decode()
        figures.append(
            {"title": figure.title, "means": figure.means, "code": code}
        )
    tables.write_csv(os.path.join(out_dir, "summary.csv"), page.rows)
    with open(os.path.join(out_dir, "summary.json"), "w") as file:
        json.dump(page.rows, file, indent=2)
    path = os.path.join(out_dir, "index.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(_html(page, figures))
    return path


def _html(page, figures):
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.jinja").render(
        title=page.title,
        verdict=verdict_sentence(page.rows),
        notice=page.notice,
        lead=page.lead,
        remarks=page.remarks,
        figures=figures,
        columns=_COLUMNS,
        tables=[
            {
                "title": text.capitalize(),
                "rows": [
                    {"cells": _cells(row), "verdict": verdict(row)}
                    for row in page.rows
                    if row["metric"] == metric
                ],
            }
            for metric, text in _METRICS.items()
        ],
        words=_WORDS,
        facts=page.facts,
        use=page.use,
        config_text=page.config_text,
    )


def _cells(row):
    low = row["difference"] - row["difference_interval"]
    high = row["difference"] + row["difference_interval"]
    return [
        row["benchmark"],
        row["steps"],
        f"{row['ours']:.3f} ± {row['ours_error']:.3f}",
        f"{row['adam']:.3f} ± {row['adam_error']:.3f} "
        f"(at {row['adam_learning_rate']:.2g})",
        f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]",
        f"{row['seeds_better']} of {row['seeds']}",
    ]


def verdict(row):
    """Ours is "better" or "worse"; "equal" if the 95% interval has zero."""
    if abs(row["difference"]) <= row["difference_interval"]:
        return "equal"
    return "better" if row["difference"] < 0.0 else "worse"


def verdict_sentence(rows):
    """The result in words: the first benchmark, then all rows counted."""
    first = rows[0]
    says = {
        "better": "below",
        "worse": "above",
        "equal": "not distinguishable from",
    }[verdict(first)]
    found = [verdict(row) for row in rows]
    counts = [
        f"{text} in {found.count(kind)}"
        for kind, text in (
            ("better", "better"),
            ("equal", "level"),
            ("worse", "worse"),
        )
        if kind in found
    ]
    return (
        f"On {first['benchmark']} the learned optimizer, not tuned, has a mean "
        f"training loss of {first['ours']:.3f} over {first['steps']} steps, "
        f"{says} the {first['adam']:.3f} of tuned Adam. Of {len(rows)} "
        f"comparisons on this page it is {_joined(counts)}."
    )


def _joined(texts):
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def text_table(rows):
    """The same tables as plain text."""
    lines = []
    for metric, text in _METRICS.items():
        lines.append(f"{text} (mean ± standard error)")
        lines.extend(
            f"  {row['benchmark']:<34} {row['steps']:>5} steps   ours "
            f"{row['ours']:.3f} ± {row['ours_error']:.3f}   Adam "
            f"{row['adam']:.3f} ± {row['adam_error']:.3f} "
            f"(at {row['adam_learning_rate']:.2g})   "
            f"{verdict(row)}, {row['seeds_better']} of {row['seeds']} problems"
            for row in rows
            if row["metric"] == metric
        )
    return "\n".join(lines)

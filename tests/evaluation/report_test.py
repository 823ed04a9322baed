"""The report: its verdicts, its tables, its files."""

import csv
import json

import pytest
from matplotlib import pyplot as plt

from keras_lopt.evaluation import report


def row(**changes):
    """A row of a comparison that ours wins."""
    return {
        "benchmark": "digits",
        "steps": 200,
        "metric": "mean_train_loss",
        "ours": 0.25,
        "ours_error": 0.01,
        "adam": 0.5,
        "adam_error": 0.02,
        "adam_learning_rate": 0.03,
        "difference": -0.25,
        "difference_error": 0.05,
        "seeds": 10,
        "seeds_better": 9,
        **changes,
    }


@pytest.mark.parametrize(
    "difference, error, expected",
    [
        (-0.3, 0.1, "better"),
        (0.3, 0.1, "worse"),
        (-0.25, 0.125, "equal"),
        (0.25, 0.125, "equal"),
        (0.0, 0.0, "equal"),
        (float("nan"), float("nan"), "worse"),
        (float("inf"), float("nan"), "worse"),
    ],
)
def test_a_verdict_needs_more_than_two_standard_errors(
    difference, error, expected
):
    found = report.verdict(row(difference=difference, difference_error=error))
    assert found == expected


def test_text_table_has_one_line_per_row_under_its_metric():
    rows = [row(), row(metric="test_loss", benchmark="wine", difference=0.01)]
    assert report.text_table(rows).splitlines() == [
        "training loss, mean over the run (mean ± standard error)",
        f"  {'digits':<34}   200 steps   ours 0.250 ± 0.010   "
        "Adam 0.500 ± 0.020 (at 0.03)   better, 9 of 10 seeds",
        "test loss at the end (mean ± standard error)",
        f"  {'wine':<34}   200 steps   ours 0.250 ± 0.010   "
        "Adam 0.500 ± 0.020 (at 0.03)   equal, 9 of 10 seeds",
    ]


@pytest.fixture
def page(tmp_path):
    """Callable: rows -> the page of their report with one figure."""

    def write(rows):
        figure, _ = plt.subplots()
        path = report.write(
            str(tmp_path / "new" / "report"),
            "A <title>",
            "A & lead",
            rows,
            {"A <caption>": figure},
            "a = '<b>'",
        )
        assert not plt.fignum_exists(figure.number)
        with open(path, encoding="utf-8") as file:
            return file.read()

    return write


def test_page_has_every_number_of_a_row(page):
    text = page([row()])
    assert (
        "<tr><td>digits<td>200<td>0.250 ± 0.010<td>0.500 ± 0.020 (at 0.03)"
        '<td class="better">-0.250 ± 0.050<td>9 of 10</tr>'
    ) in text


def test_page_escapes_all_text(page):
    text = page([row(benchmark="<i>digits</i>")])
    assert "<h1>A &lt;title&gt;</h1>" in text
    assert '<p class="lead">A &amp; lead</p>' in text
    assert "<h2>A &lt;caption&gt;</h2>" in text
    assert "<td>&lt;i&gt;digits&lt;/i&gt;<td>" in text
    assert "<pre>a = &#x27;&lt;b&gt;&#x27;</pre>" in text


def test_csv_and_json_have_the_rows(page, tmp_path):
    rows = [row(), row(metric="test_loss")]
    page(rows)
    folder = tmp_path / "new" / "report"
    assert json.loads((folder / "summary.json").read_text()) == rows
    with open(folder / "summary.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [{k: str(v) for k, v in r.items()} for r in rows]
    assert (folder / "figure_0.png").read_bytes().startswith(b"\x89PNG")

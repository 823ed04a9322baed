"""The report: its verdicts, its tables, its files."""

import csv
import json
import re

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
        "difference_interval": 0.1,
        "seeds": 10,
        "seeds_better": 9,
        **changes,
    }


@pytest.mark.parametrize(
    "difference, interval, expected",
    [
        (-0.3, 0.2, "better"),
        (0.3, 0.2, "worse"),
        (-0.25, 0.25, "equal"),
        (0.25, 0.25, "equal"),
        (-0.25, float("inf"), "equal"),
        (0.0, 0.0, "equal"),
        (float("nan"), float("nan"), "worse"),
        (float("inf"), float("nan"), "worse"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(
    difference, interval, expected
):
    changed = row(difference=difference, difference_interval=interval)
    assert report.verdict(changed) == expected


def test_the_verdict_in_words():
    rows = [row(), row(metric="test_loss", difference=0.3)]
    assert report.verdict_sentence(rows) == (
        "On digits the learned optimizer, not tuned, has a mean training loss "
        "of 0.250 over 200 steps, below the 0.500 of tuned Adam. Of 2 "
        "comparisons on this page it is better in 1 and worse in 1."
    )


def test_text_table_has_one_line_per_row_under_its_metric():
    rows = [row(), row(metric="test_loss", benchmark="wine", difference=0.01)]
    assert report.text_table(rows).splitlines() == [
        "training loss, mean over the run (mean ± standard error)",
        f"  {'digits':<34}   200 steps   ours 0.250 ± 0.010   "
        "Adam 0.500 ± 0.020 (at 0.03)   better, 9 of 10 problems",
        "test loss at the end (mean ± standard error)",
        f"  {'wine':<34}   200 steps   ours 0.250 ± 0.010   "
        "Adam 0.500 ± 0.020 (at 0.03)   equal, 9 of 10 problems",
    ]


@pytest.fixture
def page(tmp_path):
    """Callable: rows -> the page of their report with one figure."""

    def write(rows, **changes):
        figure, _ = plt.subplots()
        figures = [report.Figure("A <caption>", "It <means>.", figure)]
        content = {
            "title": "A <title>",
            "lead": "A & lead",
            "rows": rows,
            "figures": figures,
            "config_text": "a = '<b>'",
            **changes,
        }
        folder = str(tmp_path / "new" / "report")
        path = report.write(folder, report.Page(**content))
        assert not plt.fignum_exists(figure.number)
        with open(path, encoding="utf-8") as file:
            return file.read()

    return write


def test_page_has_every_number_of_a_row(page):
    text = page([row()])
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text)
    assert cells[:6] == [
        "digits",
        "200",
        "0.250 ± 0.010",
        "0.500 ± 0.020 (at 0.03)",
        "-0.250 [-0.350, -0.150]",
        "9 of 10",
    ]
    assert '<td data-label="Difference" class="better">' in text


def test_page_escapes_all_text(page):
    text = page([row(benchmark="<i>digits</i>")], use="f('<x>')")
    assert "<h1>A &lt;title&gt;</h1>" in text
    assert "<p>A &amp; lead</p>" in text
    assert "<h2>A &lt;caption&gt;</h2>" in text
    assert "It &lt;means&gt;." in text
    assert "&lt;i&gt;digits&lt;/i&gt;</td>" in text
    assert "<pre>a = &#39;&lt;b&gt;&#39;</pre>" in text
    assert "<pre>f(&#39;&lt;x&gt;&#39;)</pre>" in text


def test_page_begins_with_the_verdict_and_explains_its_words(page):
    text = page([row()], notice="Not finished.", facts={"seed": "7"})
    order = ["<h1>", "On digits the learned", "Not finished.", "A &amp; lead"]
    order += ["<img", "<table>", "accepted</dt>", "seed</td>", "<pre>"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_csv_and_json_have_the_rows(page, tmp_path):
    rows = [row(), row(metric="test_loss")]
    page(rows)
    folder = tmp_path / "new" / "report"
    assert json.loads((folder / "summary.json").read_text()) == rows
    with open(folder / "summary.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [{k: str(v) for k, v in r.items()} for r in rows]
    assert (folder / "figure_0.png").read_bytes().startswith(b"\x89PNG")

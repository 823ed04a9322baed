"""Tables in the terminal, and the files that they are written to."""

import csv
import json

from keras_lopt.evaluation import tables

COLUMNS = (("rule", "{}", 6), ("share", "{:.0%}", 8), ("count", "{:,}", 7))
ROWS = [
    {"rule": "sgd", "share": 0.256, "count": 12345, "other": 1},
    {"rule": "fused", "share": None, "count": 0, "other": 2},
]


def test_lines_are_aligned_under_their_titles():
    assert tables.title(COLUMNS) == "  rule    share   count"
    assert [tables.line(COLUMNS, row) for row in ROWS] == [
        "   sgd      26%  12,345",
        " fused        -       0",
    ]


def test_json_has_the_rows_and_what_was_measured(tmp_path):
    path = tmp_path / "new" / "table.json"
    tables.write(str(path), "time", ROWS)
    assert json.loads(path.read_text()) == {"work": "time", "rows": ROWS}


def test_csv_has_the_rows_under_their_keys(tmp_path):
    path = tmp_path / "table.csv"
    tables.write_csv(path, ROWS)
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["rule", "share", "count", "other"],
        ["sgd", "0.256", "12345", "1"],
        ["fused", "", "0", "2"],
    ]

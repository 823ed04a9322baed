"""Tables: as text for the terminal, and as CSV and JSON files.

Columns of a text table are triples: a key of the rows, a format, a width.
"""

import csv
import json
import os


def title(columns):
    """The line with the names of the columns."""
    return " ".join(key.rjust(width) for key, _, width in columns)


def line(columns, row):
    """The line of a row, a dict; None is printed as "-"."""
    cells = [
        ("-" if row[key] is None else form.format(row[key])).rjust(width)
        for key, form, width in columns
    ]
    return " ".join(cells)


def write(path, work, rows):
    """Writes a JSON file with `work`, what was measured, and the rows."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump({"work": work, "rows": rows}, file, indent=1)


def write_csv(path, rows):
    """Writes a CSV file of one or more rows, dicts with the same keys."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)

"""Tables as benchmarks print them, line by line, and as they write them.

Columns are triples: a key of the rows, a format, a width.
"""

import json
import os


def title(columns):
    """The line of the columns' names."""
    return " ".join(key.rjust(width) for key, _, width in columns)


def line(columns, row):
    """A row, a dict; "-" for what it does not know."""
    cells = [
        ("-" if row[key] is None else form.format(row[key])).rjust(width)
        for key, form, width in columns
    ]
    return " ".join(cells)


def write(path, work, rows):
    """Writes what was measured, a text, and the rows as JSON."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump({"work": work, "rows": rows}, file, indent=1)

"""Tables as benchmarks print them, line by line.

Columns are triples: a key of the rows, a format, a width.
"""


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

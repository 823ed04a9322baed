"""The report: one HTML file that needs nothing else, PNGs, a CSV, a JSON."""

import base64
import html
import io
import json
import os

from matplotlib import pyplot as plt

from keras_lopt.evaluation import tables

STYLE = """
body { font: 16px/1.55 Georgia, serif; color: #1f2937; background: #fdfcfa;
       max-width: 46rem; margin: 3rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin-bottom: .3rem; }
h2 { font-size: 1.25rem; margin-top: 2.6rem; }
.lead { color: #6b7280; margin-top: 0; }
img { width: 100%; }
table { border-collapse: collapse; width: 100%; font: 14px/1.5 system-ui,
        sans-serif; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .5rem; }
th { border-bottom: 2px solid #1f2937; }
td { border-bottom: 1px solid #e5e7eb; }
th:first-child, td:first-child { text-align: left; }
.better { color: #15803d; font-weight: 600; }
.worse { color: #b91c1c; font-weight: 600; }
pre { background: #f3f4f6; padding: .9rem; overflow-x: auto; font-size: 12px; }
"""

_METRICS = {
    "mean_train_loss": "training loss, mean over the run",
    "test_loss": "test loss at the end",
}


def write(out_dir, title, lead, rows, figures, config_text):
    """Writes the report.

    Args:
        out_dir: Folder for the files; created if it does not exist.
        title, lead: The first two lines of the report.
        rows: List of one or more dicts, from `Comparison.row`.
        figures: Dict from a caption to a matplotlib figure. The figures are
            closed afterwards.
        config_text: Configuration of the training run.

    Returns:
        Path of the HTML file.
    """
    os.makedirs(out_dir, exist_ok=True)
    images = []
    for number, (caption, figure) in enumerate(figures.items()):
        png = io.BytesIO()
        figure.savefig(png, format="png")
        plt.close(figure)
        with open(os.path.join(out_dir, f"figure_{number}.png"), "wb") as file:
            file.write(png.getvalue())
        code = base64.b64encode(png.getvalue()).decode()
        images.append(
            f"<h2>{html.escape(caption)}</h2>"
            f'<img alt="{html.escape(caption)}" '
            f'src="data:image/png;base64,{code}">'
        )
    tables.write_csv(os.path.join(out_dir, "summary.csv"), rows)
    with open(os.path.join(out_dir, "summary.json"), "w") as file:
        json.dump(rows, file, indent=2)
    path = os.path.join(out_dir, "index.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(_page(title, lead, rows, images, config_text))
    return path


def _page(title, lead, rows, images, config_text):
    tables = "".join(
        f"<h2>{html.escape(text.capitalize())}</h2>"
        + _table([row for row in rows if row["metric"] == metric])
        for metric, text in _METRICS.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
        f'<h1>{html.escape(title)}</h1><p class="lead">{html.escape(lead)}</p>'
        f"{tables}{''.join(images)}<h2>Configuration of the run</h2>"
        f"<pre>{html.escape(config_text)}</pre></html>\n"
    )


def _table(rows):
    head = "<tr><th>Benchmark<th>Steps<th>Ours<th>Tuned Adam<th>Difference"
    head += "<th>Better on</tr>"
    lines = []
    for row in rows:
        kind = verdict(row)
        lines.append(
            f"<tr><td>{html.escape(row['benchmark'])}<td>{row['steps']}"
            f"<td>{row['ours']:.3f} ± {row['ours_error']:.3f}"
            f"<td>{row['adam']:.3f} ± {row['adam_error']:.3f} "
            f"(at {row['adam_learning_rate']:.2g})"
            f'<td class="{kind}">{row["difference"]:+.3f} ± '
            f"{row['difference_error']:.3f}"
            f"<td>{row['seeds_better']} of {row['seeds']}</tr>"
        )
    return f"<table>{head}{''.join(lines)}</table>"


def verdict(row):
    """Ours is "better" or "worse"; "equal" within two standard errors."""
    if abs(row["difference"]) <= 2.0 * row["difference_error"]:
        return "equal"
    return "better" if row["difference"] < 0.0 else "worse"


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
            f"{verdict(row)}, {row['seeds_better']} of {row['seeds']} seeds"
            for row in rows
            if row["metric"] == metric
        )
    return "\n".join(lines)

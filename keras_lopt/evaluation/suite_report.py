"""The report of a suite: one HTML file with every task, a CSV, a JSON."""

import base64
import html
import json
import math
import os

from keras_lopt import pictures
from keras_lopt.evaluation import plots, suite_metrics, tables

_STYLE = """
body { font: 16px/1.55 Georgia, serif; color: #1f2937; background: #fdfcfa;
       max-width: 76rem; margin: 3rem auto; padding: 0 1.2rem; }
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
.curves { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; }
"""
_METRICS = {
    "ratio": "final-loss ratio",
    "speed_up": "speed-up",
    "equivalent_steps": "equivalent steps",
    "test_ratio": "test-loss ratio",
}


def write(out_dir, suite, source, metadata, baselines, rows, images):
    """Writes index.html, summary.csv and summary.json.

    Args:
        out_dir: Folder for the files; created if it does not exist.
        suite: Name of the suite.
        source: Where the learned optimizer is from.
        metadata: What its file says about it, a dict.
        baselines: List of `Baseline`s.
        rows: The rows of `run_suite`.
        images: List of the tasks' images, from `image`.

    Returns:
        Path of the HTML file.
    """
    os.makedirs(out_dir, exist_ok=True)
    names = [b.name for b in baselines]
    summary = suite_metrics.summarize(_done(rows), names)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    tables.write_csv(
        os.path.join(out_dir, "summary.csv"),
        [{c: row.get(c, "") for c in columns} for row in rows],
    )
    path = os.path.join(out_dir, "summary.json")
    with open(path, "w", encoding="utf-8") as file:
        written = {
            "suite": suite,
            "optimizer": source,
            "verdict": verdict(rows, baselines),
            "summary": summary,
            "rows": rows,
        }
        json.dump(_without_nan(written), file, indent=1)
    path = os.path.join(out_dir, "index.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            _page(suite, source, metadata, baselines, rows, summary, images)
        )
    return path


def _done(rows):
    return [row for row in rows if not row["skipped"]]


def _without_nan(value):
    """Non-finite numbers as None: JSON has none."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def verdict(rows, baselines):
    """What the rows say, in words."""
    done = _done(rows)
    if not done:
        return "No task could be evaluated."
    parts = []
    for baseline in baselines:
        found = suite_metrics.summarize(done, [baseline.name])[baseline.name]
        speed = found["speed_up"]
        parts.append(
            f"a lower final training loss than tuned {baseline.label} on "
            f"{found['better']:.0%}, with a speed-up of {speed['iqm']:.2f} "
            f"({speed['low']:.2f} to {speed['high']:.2f}) and a test loss no "
            f"worse on {found['test_no_worse']:.0%}"
        )
    diverged = sum(row["has_diverged"] for row in done)
    skipped = len(rows) - len(done)
    return (
        f"Of {len(done)} tasks, one untuned run each: {'; '.join(parts)}. "
        f"{diverged or 'None'} diverged; {skipped or 'none'} skipped."
    )


def image(label, lines, baselines):
    """The curves of a task as HTML; arguments as `plots.plot_rate_curves`."""
    figure = plots.plot_rate_curves(label, lines, baselines)
    code = base64.b64encode(pictures.png(figure, dpi=80)).decode()
    return (
        f'<img alt="{html.escape(label)}" src="data:image/png;base64,{code}">'
    )


def _page(suite, source, metadata, baselines, rows, summary, images):
    title = f"{source} on the suite {suite}"
    lead = verdict(rows, baselines)
    note = (
        "Baselines have the best of their learning rates for each task; the "
        "learned optimizer is not tuned. "
        "Same initial values and batches. Final losses are smoothed by an EMA "
        "of 0.95. A ratio above 1 is better. Equivalent steps: the fraction of "
        "the horizon that the baseline needs for the same loss."
    )
    made = html.escape(json.dumps(metadata, indent=1)[:20_000])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>"
        f'<p class="lead">{html.escape(note)}</p>'
        f"<h2>Summary</h2>{_summary_table(baselines, summary)}"
        f"<h2>Every task</h2>{_task_table(baselines, rows)}"
        f'<h2>Training losses</h2><div class="curves">{"".join(images)}</div>'
        f"<h2>The optimizer's file</h2><pre>{made}</pre></html>\n"
    )


def _summary_table(baselines, summary):
    head = "<tr><th>Against<th>Better<th>Test no worse"
    head += "".join(f"<th>{text}, median<th>IQM" for text in _METRICS.values())
    lines = []
    for baseline in baselines:
        found = summary[baseline.name]
        cells = "".join(
            f"<td>{found[m]['median']:.2f}<td>{found[m]['iqm']:.2f} "
            f"({found[m]['low']:.2f} to {found[m]['high']:.2f})"
            for m in _METRICS
        )
        lines.append(
            f"<tr><td>{html.escape(baseline.label)}<td>{found['better']:.0%}"
            f"<td>{found['test_no_worse']:.0%}{cells}</tr>"
        )
    return f"<table>{head}</tr>{''.join(lines)}</table>"


def _task_table(baselines, rows):
    head = "<tr><th>Task<th>Parameters<th>Final loss<th>Test loss"
    for baseline in baselines:
        label = html.escape(baseline.label)
        head += f"<th>{label} (rate)<th>Ratio<th>Speed-up"
        head += "<th>Equivalent steps<th>Test ratio"
    head += "<th>Worse than Adam here</tr>"
    return f"<table>{head}{''.join(_line(baselines, r) for r in rows)}</table>"


def _line(baselines, row):
    name = f"<tr><td>{html.escape(row['task'])}"
    if row["skipped"]:
        columns = 4 + 5 * len(baselines)
        return f'{name}<td colspan="{columns}">skipped: {row["skipped"]}</tr>'
    cells = f"<td>{row['params']:,}<td>{row['final']:.4g}<td>{row['test']:.4g}"
    for b in baselines:
        kind = "worse" if row[f"{b.name}_is_worse"] else "better"
        cells += (
            f"<td>{row[f'{b.name}_final']:.4g} ({row[f'{b.name}_rate']:.2g})"
            f'<td class="{kind}">{row[f"{b.name}_ratio"]:.2f}'
            f"<td>{row[f'{b.name}_speed_up']:.1f}"
            f"<td>{row[f'{b.name}_equivalent_steps']:.2f}"
            f"<td>{row[f'{b.name}_test_ratio']:.2f}"
        )
    worse = [b.label for b in baselines if row[f"{b.name}_is_worse"]]
    text = "diverged" if row["has_diverged"] else ", ".join(worse)
    return f'{name}{cells}<td class="worse">{html.escape(text)}</tr>'

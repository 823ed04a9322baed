"""One evaluation: what bin/evaluate.py calls and gin configures."""

import os
from collections.abc import Mapping, Sequence

from keras_lopt import checkpoints
from keras_lopt.evaluation import comparison as comparisons
from keras_lopt.evaluation import plots, report
from keras_lopt.evaluation.comparison import Benchmark
from keras_lopt.evaluation.training_runs import read_history, run_folder
from keras_lopt.optimizers import LearnedOptimizer


def run(
    run_dir: str,
    out_dir: str,
    *,
    benchmarks: Sequence[Benchmark],
    seeds: int = 10,
    rates: Sequence[float] = comparisons.LEARNING_RATES,
    controls: Mapping[str, str] | None = None,
) -> list[dict]:
    """Evaluates the best member of a training run and writes a report.

    Args:
        run_dir: Folder of a training run; or a file or the name of a bundled
            optimizer, which have no history to plot.
        out_dir: Folder for index.html, PNGs, summary.csv and summary.json.
        benchmarks: List of `Benchmark`s; the first is the training run's own.
        seeds: Problems per benchmark, at least 3 for a claim.
        rates: Adam's learning rates.
        controls: Dict from a label to the folder of a control run with a
            history.csv, or to the name of a recorded run; or None.

    Returns:
        The rows of the summary.

    >>> from keras_lopt import evaluation, tasks
    >>> digits = evaluation.Benchmark("digits", tasks.digits_mlp, num_steps=20)
    >>> rows = evaluation.run(
    ...     "fused_digits",
    ...     "report",
    ...     benchmarks=[digits],
    ...     seeds=3,
    ...     rates=(0.01,),
    ... )  # doctest: +ELLIPSIS
    digits: training loss ...
    >>> rows[0]["metric"], rows[0]["seeds"]
    ('mean_train_loss', 3)
    """
    _check_benchmarks(benchmarks)
    controls = {
        label: read_history(os.path.join(run_folder(name), "history.csv"))
        for label, name in (controls or {}).items()
    }
    rule, theta, metadata = checkpoints.load(run_dir)
    rows, figures, done = [], {}, []
    for benchmark in benchmarks:
        result = comparisons.compare(
            benchmark.name,
            benchmark.task(),
            LearnedOptimizer(rule, theta),
            benchmark.num_steps,
            benchmark.seeds or seeds,
            rates,
        )
        done.append(result)
        new = [result.row(metric) for metric in comparisons.METRICS]
        rows.extend(new)
        print(
            f"{benchmark.name}: training loss {new[0]['ours']:.3f} (Adam "
            f"{new[0]['adam']:.3f}), test loss {new[1]['ours']:.3f} (Adam "
            f"{new[1]['adam']:.3f}), speed-up {result.speed_up:.1f}",
            flush=True,
        )
    history_path = os.path.join(run_dir, "history.csv")
    if os.path.exists(history_path):
        figures["How the population trained itself"] = plots.plot_history(
            read_history(history_path), controls, rows[0]["adam"]
        )
    for result in done:
        figures[f"{result.name}, {result.num_steps} steps"] = plots.plot_curves(
            result
        )
    lead = (
        f"Best member after {metadata.get('outer_step', '?')} outer steps, one "
        f"run per problem, against Adam with the best of {len(rates)} learning "
        "rates for each metric. Same initial values and batches. Lower is "
        "better; color marks differences beyond two standard errors."
    )
    path = report.write(
        out_dir,
        "A learned optimizer that trained itself, against tuned Adam",
        lead,
        rows,
        figures,
        _config_text(run_dir),
    )
    print(report.text_table(rows))
    print(f"report: {path}", flush=True)
    return rows


def _check_benchmarks(benchmarks):
    is_sequence = isinstance(benchmarks, (tuple, list)) and len(benchmarks) > 0
    if not is_sequence or not all(isinstance(b, Benchmark) for b in benchmarks):
        raise ValueError(
            "`benchmarks` must be a list of one or more "
            f"`evaluation.Benchmark`s. Received: benchmarks={benchmarks!r}"
        )


def _config_text(run_dir):
    path = os.path.join(run_dir, "operative_config.gin")
    if not os.path.exists(path):
        return "(not recorded)"
    with open(path) as file:
        return file.read()

"""One evaluation: what bin/evaluate.py calls and gin configures."""

import datetime
import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_lopt import __version__, checkpoints
from keras_lopt.estimators.inner_run import LOG_FLOOR, log_loss
from keras_lopt.evaluation import comparison as comparisons
from keras_lopt.evaluation import plots, report
from keras_lopt.evaluation.comparison import Benchmark
from keras_lopt.evaluation.training_runs import read_history, run_folder
from keras_lopt.optimizers import LearnedOptimizer
from keras_lopt.run_texts import duration, planned_generations
from keras_lopt.training.output.progress import Waiting


def run(
    run_dir: str,
    out_dir: str,
    *,
    benchmarks: Sequence[Benchmark],
    seeds: int = 10,
    rates: Sequence[float] = comparisons.LEARNING_RATES,
    controls: Mapping[str, str] | None = None,
    other: str | None = None,
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
        other: File or name of another optimizer that trains the same problems:
            the report says where it is the better choice. Or None.

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
    digits: 3 problems of 20 steps...
    >>> first = rows[0]
    >>> first["metric"], first["seeds"]
    ('mean_train_loss', 3)
    """
    _check_benchmarks(benchmarks)
    controls = {
        label: read_history(os.path.join(run_folder(name), "history.csv"))
        for label, name in (controls or {}).items()
    }
    rule, theta, metadata = checkpoints.load(run_dir)
    others = checkpoints.load(other)[:2] if other else None
    rows, done, remarks, adam_score = [], [], [], None
    for benchmark in benchmarks:
        count = benchmark.seeds or seeds
        print(
            f"{benchmark.name}: {count} problems of {benchmark.num_steps} "
            f"steps, ours and Adam with {len(rates)} learning rates",
            flush=True,
        )
        task, steps = benchmark.task(), benchmark.num_steps
        with Waiting("training"):
            result = comparisons.compare(
                benchmark.name,
                task,
                LearnedOptimizer(rule, theta, horizon=steps),
                steps,
                count,
                rates,
            )
            if others:
                optimizer = LearnedOptimizer(*others, horizon=steps)
                theirs = comparisons.train(task, optimizer, steps, count)
                remarks.append(_remark(result, other, theirs))
        if not done:
            adam_score = _adam_score(result, task, metadata)
        done.append(result)
        new = [result.row(metric) for metric in comparisons.METRICS]
        rows.extend(new)
        print(
            f"{benchmark.name}: training loss {new[0]['ours']:.3f} (Adam "
            f"{new[0]['adam']:.3f}), test loss {new[1]['ours']:.3f} (Adam "
            f"{new[1]['adam']:.3f}), speed-up {result.speed_up:.1f}",
            flush=True,
        )
    page = report.Page(
        title="A learned optimizer that trained itself, against tuned Adam",
        lead=(
            f"Best member after {metadata.get('outer_step', '?')} outer steps, "
            "one run per problem, against Adam with the best of "
            f"{len(rates)} learning rates for each metric. Both start from the "
            "same initial values and see the same batches. A rule that plans "
            "is told the number of steps, as `InferHorizon` does."
        ),
        rows=rows,
        figures=_figures(run_dir, controls, done, adam_score),
        config_text=_text(run_dir, "operative_config.gin", "(not recorded)"),
        facts=_facts(run_dir, rule, metadata),
        use=_use(run_dir),
        notice=_notice(run_dir),
        remarks=remarks,
    )
    path = report.write(out_dir, page)
    print(report.text_table(rows))
    print("\n".join([report.verdict_sentence(rows), *remarks]))
    print(f"report: {path}", flush=True)
    return rows


def _remark(result, name, curves):
    """Whether another optimizer is the better choice on a benchmark."""
    losses = [
        [
            float(np.mean(comparisons.values(found, metric)))
            for found in (curves, result.ours)
        ]
        for metric in comparisons.METRICS
    ]
    (train, own_train), (test, own_test) = losses
    is_lower = train < own_train, test < own_test
    choice = {
        (True, True): f"{name} is the better choice",
        (False, False): "this optimizer is the better choice",
        (True, False): f"{name} is the better choice for the training loss",
        (False, True): f"{name} is the better choice for the test loss",
    }[is_lower]
    return (
        f"On {result.name}, {result.num_steps} steps, {choice}: {name} has a "
        f"mean training loss of {train:.3f} (this optimizer {own_train:.3f}) "
        f"and a test loss of {test:.3f} ({own_test:.3f})."
    )


def _adam_score(result, task, metadata):
    """The training loss of tuned Adam, in the measure of the scores."""
    estimator = metadata.get("experiment", {}).get("estimator", {})
    if estimator.get("outer_loss") != "log_loss":
        return result.row("mean_train_loss")["adam"]
    bounds = (
        estimator.get("log_floor", LOG_FLOOR),
        estimator.get("log_ceiling"),
    )
    means = []
    for curves in result.adam.values():
        losses = np.stack([curve.train_losses for curve in curves])
        losses = log_loss(task, losses.astype(np.float32), *bounds)
        means.append(float(np.mean(losses)))
    return min(means)


def _figures(run_dir, controls, comparisons_done, adam_score):
    figures = []
    path, members = (
        os.path.join(run_dir, name) for name in ("history.csv", "members.csv")
    )
    if os.path.exists(path):
        history = read_history(path)
        means = (
            "Scores of the population while it trains itself: the lower, the "
            "better. The band is from the best member to the worst. Below: the "
            "share of members that became better in each generation."
        )
        if controls:
            means += (
                f" For comparison, {' and '.join(controls)}: earlier runs, "
                "recorded with another seed or build, not trained beside this."
            )
        plot = plots.plot_history(history, controls, adam_score)
        title = "How the population trained itself"
        figures.append(report.Figure(title, means, plot))
    if os.path.exists(path) and os.path.exists(members):
        figures.append(
            report.Figure(
                "The family of the best member",
                "A point is a child at its first score. Lines lead from "
                "parents to children that were accepted; the bold one leads "
                "to the best member.",
                plots.plot_family(
                    read_history(members), history["best_id"][-1]
                ),
            )
        )
    for result in comparisons_done:
        figures.append(
            report.Figure(
                f"{result.name}, {result.num_steps} steps",
                "Loss of each batch during training, mean over "
                f"{len(result.ours)} problems; bands of one standard "
                "deviation. Where the orange curve is lower, ours is ahead.",
                plots.plot_curves(result),
            )
        )
    return figures


def _check_benchmarks(benchmarks):
    is_sequence = isinstance(benchmarks, (tuple, list)) and len(benchmarks) > 0
    if not is_sequence or not all(isinstance(b, Benchmark) for b in benchmarks):
        raise ValueError(
            "`benchmarks` must be a list of one or more "
            f"`evaluation.Benchmark`s. Received: benchmarks={benchmarks!r}"
        )


def _facts(run_dir, rule, metadata):
    """How the optimizer was made, as names and texts."""
    facts = {
        "optimizer file": str(run_dir),
        "rule": rule.name,
        "trained by": metadata.get("trained_by", "not recorded"),
        "seed": str(metadata.get("experiment", {}).get("seed", "not recorded")),
    }
    history = os.path.join(run_dir, "history.csv")
    if os.path.exists(history):
        rows = read_history(history)
        facts["generations"] = f"{rows['generation'][-1]:.0f}"
        if "seconds" in rows:
            facts["training time"] = duration(rows["seconds"][-1])
    facts["evaluated with"] = (
        f"keras_lopt {__version__}, Keras {keras.version()}, on the "
        f"{keras.backend.backend()} backend"
    )
    facts["evaluated on"] = datetime.date.today().isoformat()
    return facts


def _use(run_dir):
    return (
        "from keras_lopt import LearnedOptimizer\n\n"
        f"optimizer = LearnedOptimizer.from_checkpoint({str(run_dir)!r})\n"
        "model.compile(optimizer, loss=...)"
    )


def _notice(run_dir):
    """Says that a run is not finished; "" for one that is."""
    planned = planned_generations(_text(run_dir, "config.gin"))
    history = os.path.join(run_dir, "history.csv")
    if planned is None or not os.path.exists(history):
        return ""
    done = int(read_history(history)["generation"][-1])
    if done >= planned:
        return ""
    return (
        f"This run has done {done} of {planned} generations: it is still "
        "training, or it reached its time limit. This is its best member so "
        "far."
    )


def _text(run_dir, name, default=""):
    path = os.path.join(run_dir, name)
    if not os.path.exists(path):
        return default
    with open(path, encoding="utf-8") as file:
        return file.read()

"""A learned optimizer against tuned baselines, through the public API.

Everything is trained by `model.compile` and `fit`, from the same initial
values and on the same batches for every optimizer. A *benchmark* is a task to
compare on, with a number of steps; its problems are seeded runs of the task.
"""

from keras_lopt import extras  # noqa: F401
from keras_lopt.evaluation import archive, plots
from keras_lopt.evaluation.choice import choose
from keras_lopt.evaluation.comparison import Benchmark, Comparison, compare
from keras_lopt.evaluation.curves import Curve, Trainee
from keras_lopt.evaluation.evaluate import run
from keras_lopt.evaluation.fit_cost import benchmark_fit
from keras_lopt.evaluation.meta_cost import benchmark_meta
from keras_lopt.evaluation.rule_cost import benchmark_step
from keras_lopt.evaluation.suite import run_suite
from keras_lopt.evaluation.training_runs import (
    compare_runs,
    read_history,
    run_folder,
)

__all__ = [
    "Benchmark",
    "Comparison",
    "Curve",
    "Trainee",
    "archive",
    "benchmark_fit",
    "benchmark_meta",
    "benchmark_step",
    "choose",
    "compare",
    "compare_runs",
    "plots",
    "read_history",
    "run",
    "run_folder",
    "run_suite",
]

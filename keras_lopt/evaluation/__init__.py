"""A learned optimizer against tuned baselines, through the public API.

Everything is trained by `model.compile` and `fit`, from the same initial
values and on the same batches for every optimizer.
"""

from keras_lopt.evaluation.comparison import Comparison, compare
from keras_lopt.evaluation.curves import Curve, Trainee
from keras_lopt.evaluation.evaluate import Problem, read_history, run
from keras_lopt.evaluation.fit_cost import benchmark_fit
from keras_lopt.evaluation.meta_cost import benchmark_meta
from keras_lopt.evaluation.rule_cost import benchmark_step
from keras_lopt.evaluation.training_runs import compare_runs

__all__ = [
    "Comparison",
    "Curve",
    "Problem",
    "Trainee",
    "benchmark_fit",
    "benchmark_meta",
    "benchmark_step",
    "compare",
    "compare_runs",
    "read_history",
    "run",
]

"""The examples in the package's docstrings run, and the public names have one.

Collected here and not by pytest's own option for it: that would import every
module of the package, and TensorFlow, before the first test.
"""

import doctest
import importlib
import pkgutil

import pytest

import keras_lopt

#: What a user of the package starts from.
WITH_EXAMPLE = [
    "keras_lopt.checkpoints.describe",
    "keras_lopt.checkpoints.import_theta",
    "keras_lopt.checkpoints.load",
    "keras_lopt.checkpoints.names",
    "keras_lopt.checkpoints.save",
    "keras_lopt.estimators.ES",
    "keras_lopt.estimators.NRES",
    "keras_lopt.estimators.PES",
    "keras_lopt.estimators.TruncatedES",
    "keras_lopt.evaluation.run",
    "keras_lopt.evaluation.run_folder",
    "keras_lopt.optimizers.DivergenceGuard",
    "keras_lopt.optimizers.InferHorizon",
    "keras_lopt.optimizers.LearnedOptimizer",
    "keras_lopt.optimizers.LearnedOptimizer.cost",
    "keras_lopt.optimizers.LearnedOptimizer.from_checkpoint",
    "keras_lopt.optimizers.LearnedOptimizer.names",
    "keras_lopt.optimizers.LossScaleOptimizer",
    "keras_lopt.rules.get",
    "keras_lopt.rules.names",
    "keras_lopt.tasks.Mixture",
    "keras_lopt.tasks.digits_mlp",
    "keras_lopt.tasks.listed_mixture",
    "keras_lopt.training.PopulationTrainer",
    "keras_lopt.training.trained_teacher",
]


#: They import other backends, and have nothing public.
LEFT_OUT = ("backends.jax", "backends.torch")


def modules():
    """The modules of the package."""
    found = pkgutil.walk_packages(keras_lopt.__path__, "keras_lopt.")
    return [
        importlib.import_module(info.name)
        for info in found
        if not info.name.endswith(LEFT_OUT)
    ]


def examples():
    """Dict from a docstring's full name to its `doctest.DocTest`."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    return {
        test.name: test
        for module in modules()
        for test in finder.find(module)
        if test.examples
    }


@pytest.fixture(scope="module")
def all_examples():
    return examples()


def find(name):
    """The object of a dotted name that starts with a sub-package."""
    package, _, rest = name.removeprefix("keras_lopt.").partition(".")
    found = getattr(keras_lopt, package)
    for part in rest.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_the_example_runs(name, all_examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = find(name)
    test = all_examples[f"{found.__module__}.{found.__qualname__}"]
    test.globs = {}  # As for a reader: only what the example imports.
    report = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert report == []


def test_no_example_is_left_out(all_examples):
    run = {
        f"{found.__module__}.{found.__qualname__}"
        for found in map(find, WITH_EXAMPLE)
    }
    assert set(all_examples) == run

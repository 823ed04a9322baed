"""Outer steps and scorings lower to XLA programs that a TPU could run."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.training.devices import whole_programs
from keras_lopt.training.devices.whole_programs import (
    estimate_program,
    lowered,
    score_program,
)
from tests import tiny

#: All ops that docs/distribution.md lists.
DOCUMENTED = set(
    (pathlib.Path(__file__).parents[3] / "docs" / "distribution.md")
    .read_text(encoding="utf-8")
    .partition("```text\n")[2]
    .partition("```")[0]
    .split()
)
#: A task of each kind of model; all families: bin/test_faults --programs.
KINDS = ("conv_pooling",)
PROGRAMS = {"outer step": estimate_program, "scoring": score_program}


@pytest.fixture(scope="module")
def experiment():
    return tiny.experiment()


def mappings(task):
    return ("map", "vectorized") if task.vectorizes else ("map",)


def check(experiment, task, platforms=("CPU",)):
    for build in PROGRAMS.values():
        for mapping in mappings(task):
            for platform in platforms:
                program = build(experiment, task, mapping)
                ops, types = lowered(program, platform)
                assert set(ops) <= DOCUMENTED
                assert types <= whole_programs.TYPES


def test_the_smallest_task_lowers_for_cpus_and_gpus(experiment):
    check(experiment, tiny.task(), ("CPU", "GPU"))


@pytest.mark.parametrize("family", KINDS)
def test_a_task_of_each_kind_lowers(experiment, family):
    check(experiment, tasks.registry.family(family).sample(0))


def test_both_mappings_score_alike(experiment):
    thetas = experiment.rule.init_theta(0)
    thetas = np.stack([experiment.theta_vector.pack(thetas)] * 4)
    results = []
    for mapping in mappings(tiny.task()):
        score, (_, *args) = score_program(experiment, tiny.task(), mapping)
        compiled = tf.function(score, jit_compile=True, autograph=False)
        results.append(compiled(thetas, *args).numpy())
    np.testing.assert_allclose(*results, rtol=1e-5)


@pytest.mark.parametrize("on_cpu", [True, False])
def test_accelerators_get_vectorized_runs(on_cpu):
    estimator = tiny.ESTIMATOR
    run = estimator.inner_run(tiny.RULE, tiny.task(), on_cpu)
    assert run.mapping == ("map" if on_cpu else "vectorized")
    chosen = dataclasses.replace(estimator, mapping="map")
    assert chosen.inner_run(tiny.RULE, tiny.task(), on_cpu).mapping == "map"


def test_a_program_that_calls_python_is_refused():
    def call(x):
        return tf.numpy_function(lambda x: x, [x], tf.float32)

    with pytest.raises(ValueError, match=r"must stay on its device.*PyFunc"):
        lowered((call, (tf.zeros([]),)))

"""Outer steps and scorings lower to XLA programs that a TPU could run."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.training.devices.whole_programs import (
    lowered,
    score_program,
)
from tests import tiny


@pytest.fixture(scope="module")
def experiment():
    return tiny.experiment()


def mappings(task):
    return ("map", "vectorized") if task.vectorizes else ("map",)


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

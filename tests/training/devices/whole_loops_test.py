"""Which tasks XLA slows down when it makes one function of a loop."""

import os
import sys
import warnings
from unittest import mock

import keras
import numpy as np
import pytest

from keras_lopt import config, tasks
from keras_lopt.tasks import Mixture
from keras_lopt.training.devices.whole_loops import (
    slow_flops,
    warn_of_slow_tasks,
)
from tests import tiny


def test_small_dense_layers_are_fast():
    assert slow_flops(tasks.digits_mlp()) == 0


@pytest.mark.parametrize(
    "hidden, batch_size, products",
    [
        ((64,), 64, [(64, 64, 64)] * 2 + [(64, 10, 64)]),
        ((16,), 200, [(200, 64, 16), (200, 16, 10)] * 2 + [(200, 10, 16)]),
        ((200,), 16, [(16, 64, 200)] * 2 + [(16, 200, 10)] * 3),
    ],
)
def test_large_products_are_counted(hidden, batch_size, products):
    task = tasks.digits_mlp(hidden=hidden, batch_size=batch_size)
    expected = sum(2 * m * k * n for m, k, n in products)
    assert slow_flops(task) == expected


def test_the_gradient_of_keras_s_dense_layer_is_slow():
    """Its products are of the transposed kernel and the transposed inputs."""
    inputs = np.ones([8, 4], np.float32)

    def model_fn():
        dense = keras.layers.Dense
        return keras.Sequential([keras.Input((4,)), dense(3), dense(1)])

    data = (inputs, inputs[:, :1])
    task = tasks.from_keras(model_fn, "mse", {"train": data}, batch_size=5)
    assert slow_flops(task) == 2 * (5 * 4 * 3 + 2 * 5 * 3 * 1)


def test_convolutions_are_slow():
    assert slow_flops(tasks.registry.family("conv_pooling").sample(0)) > 0


def test_warns_of_a_slow_task():
    fast = tasks.digits_mlp()
    slow = tasks.digits_mlp(hidden=(128,))
    with pytest.warns(UserWarning, match="`whole_loops` is for .*64-128-10"):
        warn_of_slow_tasks(Mixture([fast, slow], [1.0, 1.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_slow_tasks(Mixture.of(fast))


def run(out_dir, whole_loops):
    bindings = [
        *tiny.BINDINGS,
        "training.run.generations = 0",
        f"training.run.whole_loops = {whole_loops}",
    ]
    config.load(["tiny.gin"], bindings, str(tiny.CONFIGS))
    tiny.run_loaded(out_dir)


def test_whole_loops_are_set_before_slow_tasks_are_warned_of(tmp_path):
    flags = []
    module = sys.modules["keras_lopt.training.run"]
    with mock.patch.object(
        module,
        "warn_of_slow_tasks",
        lambda mixture: flags.append(os.environ["XLA_FLAGS"]),
    ):
        run(tmp_path / "as_ever", whole_loops=False)
        assert not flags
        run(tmp_path / "whole", whole_loops=True)
    assert len(flags) == 1 and "while_loop_byte_threshold" in flags[0]

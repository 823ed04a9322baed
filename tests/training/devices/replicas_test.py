"""How many calls a replica runs side by side."""

import os
from unittest import mock

import pytest
import tensorflow as tf

from keras_lopt.training.devices import replicas
from keras_lopt.training.devices.replicas import (
    Replicas,
    largest_divisor,
    num_cores,
)


@pytest.fixture
def six_cores(monkeypatch):
    monkeypatch.setattr(replicas, "num_cores", lambda: 6)


@pytest.mark.parametrize(
    "kind, count, parallel_calls",
    [("CPU", 1, 6), ("CPU", 2, 3), ("CPU", 4, 1), ("CPU", 8, 1), ("GPU", 2, 1)],
)
def test_replicas_share_the_cores(six_cores, kind, count, parallel_calls):
    """An accelerator is filled by one call."""
    names = [f"/job:localhost/task:0/device:{kind}:{i}" for i in range(count)]
    strategy = mock.Mock(num_replicas_in_sync=count)
    strategy.extended.worker_devices = names
    assert Replicas(strategy).parallel_calls == parallel_calls


@pytest.mark.parametrize("gpus, parallel_calls", [(0, 6), (2, 1)])
def test_the_default_strategy_is_on_what_tensorflow_prefers(
    six_cores, monkeypatch, gpus, parallel_calls
):
    def listed(kind):
        count = gpus if kind == "GPU" else 1
        names = [f"/device:{kind}:{i}" for i in range(count)]
        return [tf.config.LogicalDevice(name, kind) for name in names]

    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(tf.config, "list_logical_devices", listed)
    assert Replicas(strategy).parallel_calls == parallel_calls


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"),
    reason="The cores of a process can't be set.",
)
def test_cores_are_those_of_the_process():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert num_cores() == len(before)


def test_without_affinities_all_cores_are_used(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert num_cores() == os.cpu_count()


@pytest.mark.parametrize(
    "number, most, expected", [(4, 4, 4), (8, 4, 4), (6, 4, 3), (5, 4, 1)]
)
def test_largest_divisor(number, most, expected):
    assert largest_divisor(number, most) == expected

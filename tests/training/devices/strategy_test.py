"""The factory of tf.distribute strategies."""

import json
import os
import time

import pytest
import tensorflow as tf

from keras_lopt.training import make_strategy
from keras_lopt.training.devices import strategy


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Neither reads nor changes the settings of this machine."""
    tf.config.list_logical_devices()  # From now on the devices are fixed.
    for name in ("TF_CONFIG", "TPU_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XLA_FLAGS", "")


@pytest.fixture
def devices(monkeypatch):
    """Callable: sets which kinds of accelerators TensorFlow sees."""

    def see(**counts):
        real = {
            "list_logical_devices": tf.config.list_logical_devices,
            "list_physical_devices": tf.config.list_physical_devices,
        }
        for name, listing in real.items():

            def fake(kind=None, listing=listing):
                if kind == "CPU":
                    return listing(kind)
                return [object()] * counts.get(kind, 0)

            monkeypatch.setattr(tf.config, name, fake)

    return see


@pytest.mark.parametrize("name", ["miror", "", None, "CPU"])
def test_an_unknown_strategy_is_refused(name):
    with pytest.raises(
        ValueError,
        match=r"`strategy` must be one of \['auto', 'cpu', 'gpu', "
        rf"'mirrored', 'multi_worker', 'tpu'\]. Received: strategy={name!r}",
    ):
        make_strategy(name)


def test_gpu_needs_a_gpu(devices):
    devices()
    with pytest.raises(
        ValueError, match="`strategy` \"gpu\" needs a GPU.*strategy='cpu'"
    ):
        make_strategy("gpu")


def test_multi_worker_needs_tf_config():
    with pytest.raises(
        ValueError,
        match='`strategy` "multi_worker" needs .* TF_CONFIG.*is not set',
    ):
        make_strategy("multi_worker")


@pytest.mark.parametrize("name, replicas", [("mirrored", None), ("cpu", 2)])
def test_replicas_are_for_mirrored_alone(name, replicas):
    with pytest.raises(
        ValueError, match=f"`replicas` must be given.*replicas={replicas}"
    ):
        make_strategy(name, replicas=replicas)


def test_mirrored_is_on_logical_devices():
    made = make_strategy("mirrored", replicas=2)
    assert made.num_replicas_in_sync == 2


@pytest.mark.parametrize("replicas", [0, 1.5, 3])
def test_mirrored_refuses_replicas_that_are_not_there(replicas):
    """The tests of this process have two devices."""
    with pytest.raises(
        ValueError, match=f"`replicas` must be .*replicas={replicas}"
    ):
        make_strategy("mirrored", replicas=replicas)


def test_a_tpu_that_does_not_answer_ends_within_a_stated_time(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "asleep")
    monkeypatch.setattr(strategy, "TPU_TIMEOUT", 0.1)
    monkeypatch.setattr(
        tf.distribute.cluster_resolver,
        "TPUClusterResolver",
        lambda name: time.sleep(1.0),
    )
    with pytest.raises(
        ValueError, match="needs a TPU. Received: no answer from 'asleep' with"
    ):
        make_strategy("auto")


@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("TPU")), reason="There is a TPU."
)
def test_tpu_needs_a_tpu():
    with pytest.raises(
        ValueError, match="`strategy` \"tpu\" needs a TPU. .*strategy='cpu'"
    ):
        make_strategy("tpu")


@pytest.mark.parametrize(
    "available, best",
    [
        ({}, "cpu"),
        ({"GPU": 2}, "gpu"),
        ({"TPU": 8}, "tpu"),
        ({"GPU": 1, "TPU": 8}, "tpu"),
    ],
)
def test_auto_takes_the_best_there_is(devices, available, best):
    devices(**available)
    assert strategy._best_available() == best


def test_auto_takes_the_tpu_that_the_environment_names(devices, monkeypatch):
    devices(GPU=1)
    monkeypatch.setenv("TPU_NAME", "somewhere")
    assert strategy._best_available() == "tpu"


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_without_accelerators_there_is_one_replica(devices, name):
    devices()
    made = make_strategy(name)
    assert made.num_replicas_in_sync == 1
    assert made.run(lambda: tf.constant(1.0)).device.endswith("CPU:0")


@pytest.fixture
def no_workers(monkeypatch):
    """A cluster of one worker, which is not started."""
    config = {
        "cluster": {"worker": ["127.0.0.1:1"]},
        "task": {"type": "worker", "index": 0},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    monkeypatch.setattr(
        tf.distribute, "MultiWorkerMirroredStrategy", lambda: one
    )


@pytest.mark.parametrize("name", ["cpu", "multi_worker"])
def test_a_product_uses_one_core(no_workers, name):
    for _ in range(2):
        assert make_strategy(name).num_replicas_in_sync == 1
        assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false"


@pytest.mark.parametrize("name", ["cpu", "multi_worker"])
def test_whole_loops_set_a_flag_of_xla(no_workers, name):
    for whole_loops in (True, True, False):  # The last changes nothing.
        make_strategy(name, whole_loops)
        assert os.environ["XLA_FLAGS"] == (
            "--xla_cpu_multi_thread_eigen=false --xla_backend_extra_options="
            "xla_cpu_small_while_loop_byte_threshold=1099511627776"
        )


def test_extra_options_that_are_set_are_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_extra_options=a=1")
    make_strategy("cpu", whole_loops=True)
    assert os.environ["XLA_FLAGS"] == (
        "--xla_backend_extra_options=a=1 --xla_cpu_multi_thread_eigen=false"
    )


def test_flags_that_are_set_are_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--a=1")
    make_strategy("cpu")
    assert os.environ["XLA_FLAGS"] == "--a=1 --xla_cpu_multi_thread_eigen=false"
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    make_strategy("cpu")
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=true"

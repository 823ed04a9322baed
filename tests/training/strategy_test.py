"""The factory of tf.distribute strategies."""

import os

import pytest
import tensorflow as tf

from keras_lopt.training import strategy
from keras_lopt.training.strategy import make_strategy


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No setting of this machine matters, and none is changed."""
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


@pytest.fixture
def cores(monkeypatch):
    """Callable: sets the number of cores of this process."""

    def have(count):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda pid: set(range(count))
        )

    return have


@pytest.mark.parametrize("name", ["mirrored", "", None, "CPU"])
def test_an_unknown_strategy_is_refused(name):
    with pytest.raises(
        ValueError,
        match=r"`strategy` must be one of \['auto', 'cpu', 'gpu', "
        rf"'multi_worker', 'tpu'\]. Received: strategy={name!r}",
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


def test_auto_takes_a_tpu_that_has_a_name(devices, monkeypatch):
    devices(GPU=1)
    monkeypatch.setenv("TPU_NAME", "somewhere")
    assert strategy._best_available() == "tpu"


def test_auto_without_accelerators_is_the_cores(devices, cores):
    devices()
    cores(2)
    assert make_strategy("auto").num_replicas_in_sync == 2


@pytest.mark.parametrize(
    "num_cores, divides, replicas",
    [
        (1, None, 1),
        (2, None, 2),
        (2, 4, 2),
        (2, 3, 1),
        (2, 1, 1),
        (4, 2, 2),
        (8, 8, 2),  # No more than the logical devices of these tests.
        (3, 2, 2),
    ],
)
def test_cpu_has_a_replica_a_core_that_divides_the_problems(
    cores, num_cores, divides, replicas
):
    cores(num_cores)
    made = make_strategy("cpu", divides)
    assert made.num_replicas_in_sync == replicas


@pytest.mark.parametrize(
    "num_cores, num_devices, divides, replicas",
    [
        (3, 3, 2, 2),
        (4, 4, 6, 3),
        (8, 4, 6, 3),  # TensorFlow started with four.
        (8, 3, 8, 2),
        (4, 3, 4, 2),
        (6, 6, 4, 4),
        (5, 5, 7, 1),
        (5, 3, None, 3),
    ],
)
def test_as_many_replicas_as_devices_can_share_the_problems(
    cores, monkeypatch, num_cores, num_devices, divides, replicas
):
    cores(num_cores)
    names = [f"CPU:{i}" for i in range(num_devices)]
    monkeypatch.setattr(strategy, "_logical_cpus", lambda n: names[:n])
    for kind in ("MirroredStrategy", "OneDeviceStrategy"):
        monkeypatch.setattr(tf.distribute, kind, lambda used, **_: used)
    expected = names[:replicas] if replicas > 1 else names[0]
    assert make_strategy("cpu", divides) == expected


def test_replicas_are_on_devices_of_their_own(cores):
    cores(2)
    made = make_strategy("cpu")
    devices = made.run(lambda: tf.constant(1.0)).values
    assert len({value.device for value in devices}) == 2


def test_two_strategies_reduce_in_one_process(cores):
    cores(2)
    for made in (make_strategy("cpu"), make_strategy("cpu")):

        @tf.function
        def total(made=made):
            def number():
                context = tf.distribute.get_replica_context()
                own = tf.cast(context.replica_id_in_sync_group, tf.float32)
                return context.all_reduce("SUM", own + 1.0)

            return made.run(number)

        totals = made.experimental_local_results(total())
        assert [float(t) for t in totals] == [3.0, 3.0]


def test_products_keep_to_the_core_of_their_replica(cores):
    cores(2)
    make_strategy("cpu")
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false"
    make_strategy("cpu")
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false"


def test_flags_that_are_set_stay(cores, monkeypatch):
    cores(2)
    monkeypatch.setenv("XLA_FLAGS", "--a=1")
    make_strategy("cpu")
    assert os.environ["XLA_FLAGS"] == "--a=1 --xla_cpu_multi_thread_eigen=false"
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    make_strategy("cpu")
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=true"

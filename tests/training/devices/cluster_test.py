"""TF_CONFIG: one clear message for what TensorFlow would wait on."""

import concurrent.futures
import contextlib
import json
import socket

import pytest
import tensorflow as tf

from keras_lopt.training.devices import cluster

TWO = {"worker": ["a:1", "b:2"]}


@pytest.fixture
def set_config(monkeypatch):
    """Callable: sets TF_CONFIG to text, or to an object as JSON."""

    def set_to(value):
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv("TF_CONFIG", text)

    return set_to


def config_of(cluster=TWO, job="worker", index=0):
    return {"cluster": cluster, "task": {"type": job, "index": index}}


BAD = {
    "not JSON": ("not json", "which is not JSON"),
    "nothing": ({}, "'cluster' is missing"),
    "a list": ([1], "no JSON object"),
    "no task": ({"cluster": TWO}, "'task' is missing"),
    "no cluster": ({"task": {"type": "worker"}}, "'cluster' is missing"),
    "another job": (config_of({"ps": ["a:1"]}), r"jobs \['ps'\] are not of"),
    "no addresses": (config_of({"worker": []}), "no list of addresses"),
    "no port": (config_of({"worker": ["a"]}), "'a' is not host:port"),
    "a number": (config_of({"worker": [1]}), "1 is not host:port"),
    "twice": (config_of({"worker": ["a:1", "a:1"]}), "an address twice"),
    "two chiefs": (config_of({"chief": ["a:1", "b:1"]}), "several chiefs"),
    "wrong type": (config_of(job="chief"), "has type 'chief', not of"),
    "index too large": (config_of(index=2), "index 2, but the 2 workers have"),
    "negative index": (config_of(index=-1), "index -1, not a number"),
    "no index": (config_of(index=None), "index None, not a number"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_what_is_no_cluster(set_config, case):
    config, message = BAD[case]
    set_config(config)
    with pytest.raises(ValueError, match=message) as caught:
        cluster.tf_config()
    assert str(caught.value).startswith("TF_CONFIG must be JSON like ")


@pytest.mark.parametrize(
    "config, index",
    [
        (config_of(), 0),
        (config_of(index=1), 1),
        (config_of(index="1"), 1),
        (config_of({"chief": ["a:1"], "worker": ["b:2"]}), 1),
        (config_of({"chief": ["a:1"], "worker": ["b:2"]}, "chief"), 0),
    ],
)
def test_workers_are_numbered_from_the_chief(set_config, config, index):
    set_config(config)
    assert cluster.tf_config() == (["a:1", "b:2"], index)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture
def addresses():
    return [f"127.0.0.1:{port}" for port in free_ports(3)]


def test_a_missing_worker_is_named_after_the_stated_time(
    addresses, monkeypatch
):
    monkeypatch.setenv("KERAS_LOPT_WORKER_TIMEOUT", "0.1")
    with pytest.raises(
        ValueError,
        match="All 3 workers must be started within 0 s .*no answer from "
        rf"worker 0 \({addresses[0]}\), worker 2 \({addresses[2]}\)",
    ):
        cluster.wait_for_workers(addresses, 1)


def test_workers_find_one_another(addresses):
    with contextlib.ExitStack() as stack:

        def find(index):
            cluster.wait_for_workers(addresses, index, 30.0)
            # From now on TensorFlow's server listens there.
            port = int(addresses[index].rpartition(":")[2])
            stack.enter_context(socket.create_server(("127.0.0.1", port)))

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            assert list(pool.map(find, range(3))) == [None] * 3


def test_a_port_in_use_is_said(addresses):
    port = int(addresses[0].rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ValueError, match=f"port of worker 0 .*{addresses[0]}"),
    ):
        cluster.wait_for_workers(addresses, 0, 1.0)


def test_one_process_keeps_its_errors():
    error = tf.errors.UnavailableError(None, None, "gone")
    with (
        pytest.raises(tf.errors.UnavailableError),
        cluster.lost_workers(tf.distribute.get_strategy()),
    ):
        raise error

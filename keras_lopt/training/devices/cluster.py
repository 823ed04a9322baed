"""TF_CONFIG: checked before TensorFlow reads it, which waits without end.

tf.distribute finds the workers itself. Here is only what it does not say: that
TF_CONFIG can't be used, that a port is taken, or who is missing.
"""

import contextlib
import json
import os
import socket
import time

import tensorflow as tf

#: Seconds that workers wait for one another at the start.
WORKER_TIMEOUT = 300.0
_RULE = (
    'TF_CONFIG must be JSON like {"cluster": {"worker": ["host:port", ...]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_JOBS = ("chief", "worker")


def tf_config():
    """What the environment variable TF_CONFIG says.

    Returns:
        List of the workers' addresses, and this worker's index in it.

    Raises:
        ValueError: It isn't set, or says something else.
    """
    text = os.environ.get("TF_CONFIG")
    if text is None:
        raise ValueError(
            '`strategy` "multi_worker" needs the environment variable '
            f"TF_CONFIG. {_RULE}. Received: TF_CONFIG is not set; "
            "bin/launch_local.py sets it for workers on one machine"
        )
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _unusable(f"which is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise _unusable("which is no JSON object")
    for key in ("cluster", "task"):
        if not isinstance(config.get(key), dict) or not config[key]:
            raise _unusable(f"in which {key!r} is missing, empty or no object")
    return _addresses(config["cluster"]), _index(config)


def _addresses(cluster):
    if other := sorted(set(cluster) - set(_JOBS)):
        raise _unusable(f"whose jobs {other} are not of {list(_JOBS)}")
    for job, addresses in cluster.items():
        if not isinstance(addresses, list) or not addresses:
            raise _unusable(f"whose {job!r} is no list of addresses")
    if len(cluster.get("chief", [0])) != 1:
        raise _unusable("which has several chiefs")
    found = [a for job in _JOBS for a in cluster.get(job, [])]
    for address in found:
        port = address.rpartition(":")[2] if isinstance(address, str) else ""
        if ":" not in str(address) or not port.isdigit():
            raise _unusable(f"whose address {address!r} is not host:port")
    if len(set(found)) < len(found):
        raise _unusable("which has an address twice")
    return found


def _index(config):
    cluster, task = config["cluster"], config["task"]
    job, index = task.get("type"), task.get("index")
    if job not in cluster:
        raise _unusable(f"whose task has type {job!r}, not of {list(cluster)}")
    if isinstance(index, bool) or not str(index).isdigit():
        raise _unusable(f"whose task has index {index!r}, not a number >= 0")
    if int(index) >= len(cluster[job]):
        raise _unusable(
            f"whose task has index {index}, but the {len(cluster[job])} "
            f"{job}s have 0 to {len(cluster[job]) - 1}"
        )
    before = len(cluster.get("chief", [])) if job == "worker" else 0
    return before + int(index)


def _unusable(problem):
    text = os.environ["TF_CONFIG"]
    return ValueError(f"{_RULE}. Received: TF_CONFIG={text!r}, {problem}")


def wait_for_workers(addresses, index, timeout=None):
    """Returns when all workers have been started.

    Each listens at its own address until it has reached all others.

    Args:
        addresses: List of "host:port", from `tf_config`.
        index: This worker's.
        timeout: Seconds; default: `WORKER_TIMEOUT`, or the environment
            variable KERAS_LOPT_WORKER_TIMEOUT.

    Raises:
        ValueError: A port is taken, or somebody is missing after the timeout.
    """
    if timeout is None:
        name = "KERAS_LOPT_WORKER_TIMEOUT"
        timeout = float(os.environ.get(name, WORKER_TIMEOUT))
    missing = {i: a for i, a in enumerate(addresses) if i != index}
    with _listening(addresses[index], index):
        end = time.monotonic() + timeout
        while missing:
            missing = {i: a for i, a in missing.items() if not is_reached(a)}
            if missing and time.monotonic() > end:
                raise ValueError(
                    f"All {len(addresses)} workers must be started within "
                    f"{timeout:.0f} s (KERAS_LOPT_WORKER_TIMEOUT). Received: "
                    f"no answer from {named(missing)}"
                )
            if missing:
                time.sleep(0.2)


@contextlib.contextmanager
def lost_workers(strategy):
    """Context in which the end of another worker is one clear message.

    Args:
        strategy: The tf.distribute strategy of this process.

    Raises:
        ConnectionError: Another worker has ended; its name.
    """
    several = tf.distribute.MultiWorkerMirroredStrategy
    if not isinstance(strategy, several):
        yield
        return
    try:
        yield
    except tf.errors.OpError as error:
        addresses, index = tf_config()
        others = {i: a for i, a in enumerate(addresses) if i != index}
        gone = {i: a for i, a in others.items() if not is_reached(a)}
        who = named(gone) if gone else "one of " + named(others)
        first = (error.message or repr(error)).splitlines()[0]
        raise ConnectionError(
            "All workers must stay until the end. Received: no answer from "
            f"{who} ({first[:200]}). Start all workers again: they go on from "
            "the last checkpoint"
        ) from error


def is_reached(address):
    """Whether somebody listens at "host:port"."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 2.0):
            return True
    except OSError:
        return False


def named(workers):
    """Workers, a dict of index -> address, as text."""
    return ", ".join(f"worker {i} ({a})" for i, a in sorted(workers.items()))


def _listening(address, index):
    host, _, port = address.rpartition(":")
    # On loopback, no other machine asks; elsewhere the name may be a proxy's.
    own = host if host in ("127.0.0.1", "localhost") else ""
    try:
        return socket.create_server((own, int(port)), backlog=1024)
    except OSError as error:
        raise ValueError(
            f"The port of worker {index} must be free on this machine. "
            f"Received: {address}, {error.strerror}; end the other process or "
            "choose another port in TF_CONFIG"
        ) from error

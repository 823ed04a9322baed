"""Where training runs: one small factory for tf.distribute strategies."""

import os
import threading

import tensorflow as tf

from keras_lopt.checks import check_integer
from keras_lopt.training.devices import cluster

NAMES = ("auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu")
#: Seconds in which a TPU has to answer.
TPU_TIMEOUT = 45.0


def make_strategy(name="auto", whole_loops=False, replicas=None):
    """Builds the tf.distribute strategy `name`.

    Args:
        name: "cpu" (one replica on all cores), "gpu" (all local GPUs),
            "mirrored" (`replicas` of the GPUs or, without any, as many logical
            devices of the CPU), "multi_worker" (one process per worker, as
            TF_CONFIG says), "tpu" (the local or TPU_NAME's TPU), or "auto": the
            TPU or the GPUs if there are any, else the CPU.
        whole_loops: Whether XLA makes one function of a whole loop, such as an
            inner run, on CPUs. Otherwise every operation of the loop is a
            function of its own, and calling these takes a large part of the
            time of a small task. In a whole loop a product of matrices [m, k]
            and [k, n] is fast only if both lie in memory row by row
            (`tasks.layers.Dense`), no size is above 128, and m or n is at most
            32; other products, and convolutions, take 4 to 20 times as long.
            This is a setting of the process. It has no effect once XLA has
            compiled anything.

        replicas: Number of replicas of "mirrored"; the others have theirs.

    Raises:
        ValueError: Unknown name, devices that are not there, or workers that
            are missing.
    """
    if name not in NAMES:
        raise ValueError(
            f"`strategy` must be one of {list(NAMES)}. "
            f"Received: strategy={name!r}"
        )
    if (name == "mirrored") != (replicas is not None):
        raise ValueError(
            '`replicas` must be given with strategy "mirrored", and only '
            f"there. Received: strategy={name!r}, replicas={replicas!r}"
        )
    if name == "auto":
        name = _best_available()
    if name == "cpu":
        return _cpu_strategy(whole_loops)
    if name == "mirrored":
        return _mirrored_strategy(replicas, whole_loops)
    if name == "gpu":
        gpus = tf.config.list_logical_devices("GPU")
        if not gpus:
            raise ValueError(
                '`strategy` "gpu" needs a GPU that TensorFlow can see. '
                "Received: no GPU; use strategy='cpu'"
            )
        return tf.distribute.MirroredStrategy([d.name for d in gpus])
    if name == "multi_worker":
        addresses, index = cluster.tf_config()
        _set_xla_flags(whole_loops)
        if len(addresses) > 1:
            cluster.wait_for_workers(addresses, index)
        return tf.distribute.MultiWorkerMirroredStrategy()
    return _tpu_strategy()


def _best_available():
    if tf.config.list_physical_devices("TPU") or "TPU_NAME" in os.environ:
        return "tpu"
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def _tpu_strategy():
    name, found = os.environ.get("TPU_NAME", "local"), []

    def connect():
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
            found.append(resolver)
        except Exception as error:  # Of a dozen types, by what is missing.
            found.append(error)

    # TensorFlow asks a name that nobody has for minutes.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(TPU_TIMEOUT)
    problem = None
    if not found:
        problem = f"no answer from {name!r} within {TPU_TIMEOUT:.0f} s"
    elif isinstance(found[0], Exception):
        problem = (str(found[0]) or repr(found[0])).split(". ")[0].strip()
    if problem is not None:
        if "TPU_NAME" in os.environ:
            problem += f" (TPU_NAME={name!r})"
        raise ValueError(
            '`strategy` "tpu" needs a TPU. Received: '
            f"{problem}; use strategy='cpu'"
        )
    return tf.distribute.TPUStrategy(found[0])


def _mirrored_strategy(replicas, whole_loops):
    """Replicas on GPUs, or on logical devices of the CPU."""
    check_integer("replicas", replicas, 1)
    if gpus := tf.config.list_physical_devices("GPU"):
        if replicas > len(gpus):
            raise ValueError(
                f"`replicas` must be at most {len(gpus)}, the number of GPUs. "
                f"Received: replicas={replicas}; for logical devices of the "
                'CPU, set the environment variable CUDA_VISIBLE_DEVICES=""'
            )
        names = [f"GPU:{i}" for i in range(replicas)]
        return tf.distribute.MirroredStrategy(names)
    _set_xla_flags(whole_loops)
    _split_cpu(replicas)
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def _split_cpu(count):
    """Makes `count` logical devices of the CPU, unless there are as many."""
    cpu, *_ = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:  # TensorFlow has started.
        there = len(tf.config.list_logical_devices("CPU"))
        if there < count:
            raise ValueError(
                "`replicas` must be set before TensorFlow starts, or be at "
                f"most {there}, the devices that it has then. Received: "
                f"replicas={count}"
            ) from error


def _cpu_strategy(whole_loops):
    """One replica, whose cores work side by side: `Replicas.parallel_calls`.

    Not one replica per core: each would be a logical device, and TensorFlow
    compiles every program anew for every device.
    """
    _set_xla_flags(whole_loops)
    return tf.distribute.OneDeviceStrategy("/cpu:0")


def _set_xla_flags(whole_loops):
    """Adds to XLA_FLAGS what is not set there already."""
    # Every core has a call of its own; threads that share a product compete.
    wanted = {"xla_cpu_multi_thread_eigen": "false"}
    if whole_loops:
        # Not as a flag of its own: a version of XLA that does not know it would
        # end the process. No loop has as many bytes.
        wanted["xla_backend_extra_options"] = (
            f"xla_cpu_small_while_loop_byte_threshold={2**40}"
        )
    flags = os.environ.get("XLA_FLAGS", "")
    for name, value in wanted.items():
        if name not in flags:
            flags = f"{flags} --{name}={value}".strip()
    os.environ["XLA_FLAGS"] = flags

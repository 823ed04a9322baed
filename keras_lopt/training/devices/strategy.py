"""Where training runs: one small factory for tf.distribute strategies."""

import os

import tensorflow as tf

NAMES = ("auto", "cpu", "gpu", "multi_worker", "tpu")


def make_strategy(name="auto", whole_loops=False):
    """Builds the tf.distribute strategy `name`.

    Args:
        name: "cpu" (one replica on all cores), "gpu" (all local GPUs),
            "multi_worker" (as TF_CONFIG says), "tpu" (the local or TPU_NAME's
            TPU), or "auto": the TPU or the GPUs if there are any, else the
            CPU.
        whole_loops: Whether XLA makes one function of a whole loop, such as an
            inner run, on CPUs. Otherwise every operation of the loop is a
            function of its own, and calling these takes a large part of the
            time of a small task. In a whole loop a product of matrices [m, k]
            and [k, n] is fast only if both lie in memory row by row
            (`tasks.layers.Dense`), no size is above 128, and m or n is at most
            32; other products, and convolutions, take 4 to 20 times as long.
            This is a setting of the process. It has no effect once XLA has
            compiled anything.

    Raises:
        ValueError: Unknown name, or devices that are not there.
    """
    if name not in NAMES:
        raise ValueError(
            f"`strategy` must be one of {list(NAMES)}. "
            f"Received: strategy={name!r}"
        )
    if name == "auto":
        name = _best_available()
    if name == "cpu":
        return _cpu_strategy(whole_loops)
    if name == "gpu":
        gpus = tf.config.list_logical_devices("GPU")
        if not gpus:
            raise ValueError(
                '`strategy` "gpu" needs a GPU that TensorFlow can see. '
                "Received: no GPU; use strategy='cpu'"
            )
        return tf.distribute.MirroredStrategy([d.name for d in gpus])
    if name == "multi_worker":
        if "TF_CONFIG" not in os.environ:
            raise ValueError(
                '`strategy` "multi_worker" needs the environment variable '
                "TF_CONFIG, which names the workers and this one's number. "
                "Received: TF_CONFIG is not set"
            )
        _set_xla_flags(whole_loops)
        return tf.distribute.MultiWorkerMirroredStrategy()
    return _tpu_strategy()


def _best_available():
    if tf.config.list_physical_devices("TPU") or "TPU_NAME" in os.environ:
        return "tpu"
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def _tpu_strategy():
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=os.environ.get("TPU_NAME", "local")
        )
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError, KeyError) as error:
        raise ValueError(
            '`strategy` "tpu" needs a TPU. Received: '
            f"{str(error).split('. ')[0]}; use strategy='cpu'"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


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

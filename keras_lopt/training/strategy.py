"""Where training runs: one small factory for tf.distribute strategies."""

import os

import tensorflow as tf

NAMES = ("auto", "cpu", "gpu", "multi_worker", "tpu")


def make_strategy(name="auto"):
    """Builds the tf.distribute strategy `name`.

    Args:
        name: "cpu" (one replica on all cores), "gpu" (all local GPUs),
            "multi_worker" (as TF_CONFIG says), "tpu" (the local or TPU_NAME's
            TPU), or "auto": the TPU or the GPUs if there are any, else the
            CPU.

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
        return _cpu_strategy()
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
        _keep_products_to_their_calls()
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


def _cpu_strategy():
    """One replica, whose cores work side by side: `Replicas.parallel_calls`.

    Not a logical device, so a replica, per core: TensorFlow compiles a program
    anew for every device.
    """
    _keep_products_to_their_calls()
    return tf.distribute.OneDeviceStrategy("/cpu:0")


def _keep_products_to_their_calls():
    """Every core has a call of its own: threads that share one compete."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        flags = f"{flags} --xla_cpu_multi_thread_eigen=false"
        os.environ["XLA_FLAGS"] = flags.strip()

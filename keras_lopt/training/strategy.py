"""Where training runs: one small factory for tf.distribute strategies."""

import os

import tensorflow as tf

from keras_lopt.training.replicas import largest_divisor

NAMES = ("auto", "cpu", "gpu", "multi_worker", "tpu")


def make_strategy(name="auto", divides=None):
    """Builds the tf.distribute strategy `name`.

    Args:
        name: "cpu" (one logical device, so one replica, per core), "gpu" (all
            local GPUs), "multi_worker" (as TF_CONFIG says), "tpu" (the local
            or TPU_NAME's TPU), or "auto": the TPU or the GPUs if there are
            any, else the cores.
        divides: Number of problems to be split; on "cpu" the number of
            replicas is the largest that divides it and has a core each.

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
        return _one_replica_per_core(divides)
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


def _one_replica_per_core(divides):
    """A replica on each logical CPU device, one device per core."""
    cores = len(os.sched_getaffinity(0))
    if divides is not None:
        cores = largest_divisor(divides, cores)
    logical = _logical_cpus(cores)
    if divides is not None:
        # There may be fewer: TensorFlow may have started with its own.
        logical = logical[: largest_divisor(divides, len(logical))]
    if len(logical) == 1:
        return tf.distribute.OneDeviceStrategy(logical[0])
    return tf.distribute.MirroredStrategy(
        logical, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def _logical_cpus(count):
    """Names of logical CPU devices: `count`, or what was set up before."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    # A replica keeps its core busy: threads that share its work only compete,
    # so each device has a pool of its own, of one thread. (Replicas that share
    # such a pool run one after the other.)
    os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
    single_threaded = "--xla_cpu_multi_thread_eigen=false"
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {single_threaded}".strip()
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(max(2, count))
    except RuntimeError:
        pass  # TensorFlow has started: its devices are what they are.
    return [d.name for d in tf.config.list_logical_devices("CPU")[:count]]

"""Values on the replicas of a strategy, to and from arrays.

In training, inner states live on the replicas, each with its own pairs; in a
checkpoint they are one nest of arrays with all pairs.
"""

import functools
import os

import numpy as np
import tensorflow as tf

from keras_lopt.estimators import EstimatorState

#: Which axis of each part of an `EstimatorState` is that of the pairs; None:
#: it has none, and is the same on all replicas.
_PAIR_AXES = EstimatorState(
    inner=1, noise=1, seeds=0, horizons=0, steps=0, ends=0, squares=None
)


class Replicas:
    """The replicas of a strategy.

    Args:
        strategy: A tf.distribute strategy.

    Attributes:
        count: Number of replicas.
        parallel_calls: Most calls that a replica runs side by side: one per
            core of a CPU; only one on an accelerator, which that fills.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        self.count = strategy.num_replicas_in_sync
        self.parallel_calls = 1
        devices = _local_devices(strategy)
        if tf.DeviceSpec.from_string(devices[0]).device_type == "CPU":
            self.parallel_calls = max(1, num_cores() // len(devices))

    def distribute(self, value_fn):
        """The nests value_fn(number of the replica), each on its replica."""
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: value_fn(context.replica_id_in_sync_group)
        )

    def broadcast(self, nest):
        """A nest of arrays, the same on every replica."""
        return self.distribute(
            lambda _: tf.nest.map_structure(tf.constant, nest)
        )

    def one(self, nest):
        """A nest that is the same on all replicas, as arrays."""
        return _to_numpy(self._local(nest)[0])

    def gather(self, state):
        """All replicas' `EstimatorState`s as one nest of arrays."""
        parts = [_to_numpy(part) for part in self._local(state)]
        return _map_pairs(lambda axis, *p: np.concatenate(p, axis), *parts)

    def scatter(self, state):
        """The inverse of `gather`."""
        pairs = len(state.steps) // self.count

        def part(replica):
            own = range(replica * pairs, (replica + 1) * pairs)
            taken = _map_pairs(lambda axis, v: np.take(v, own, axis), state)
            return tf.nest.map_structure(tf.constant, taken)

        return self.distribute(part)

    def _local(self, nest):
        """A nest of distributed values -> one nest per local replica."""
        flat = [
            self._strategy.experimental_local_results(leaf)
            for leaf in tf.nest.flatten(nest)
        ]
        return [tf.nest.pack_sequence_as(nest, part) for part in zip(*flat)]


def _local_devices(strategy):
    """Names of the devices of this process's replicas."""
    try:
        return strategy.extended.worker_devices
    except RuntimeError:  # The default strategy: what TensorFlow prefers.
        listed = tf.config.list_logical_devices
        return [(listed("GPU") or listed("CPU"))[0].name]


def num_cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def largest_divisor(number, most):
    """The largest integer up to `most` that divides `number`."""
    return max(n for n in range(1, most + 1) if number % n == 0)


def _to_numpy(nest):
    return tf.nest.map_structure(lambda leaf: leaf.numpy(), nest)


def _map_pairs(function, *states):
    """Maps function(axis of the pairs, *leaves) over `EstimatorState`s.

    Leaves without pairs are those of the first state, as they are.
    """

    def mapped(axis, *leaves):
        return leaves[0] if axis is None else function(axis, *leaves)

    return EstimatorState(
        *(
            tf.nest.map_structure(functools.partial(mapped, axis), *fields)
            for axis, *fields in zip(_PAIR_AXES, *states)
        )
    )

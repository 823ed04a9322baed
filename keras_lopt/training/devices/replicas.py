"""Values on the replicas of a strategy, to and from arrays.

In training, inner states live on the replicas, each with its own share; in a
checkpoint they are one nest of arrays with all members and pairs.
"""

import functools
import math
import os
import time

import numpy as np
import tensorflow as tf


class Replicas:
    """The replicas of a strategy.

    Args:
        strategy: A tf.distribute strategy.
        division: `Division` of their work, for `gather` and its like.

    Attributes:
        count: Number of replicas.
        local_count: Number of those that belong to this process.
        on_cpu: Whether they run on CPUs.
        parallel_calls: Most calls that a replica runs side by side: one per
            core of a CPU; only one on an accelerator, which that fills.
    """

    def __init__(self, strategy, division=None):
        self._strategy = strategy
        self._division = division
        self.count = strategy.num_replicas_in_sync
        devices = _local_devices(strategy)
        self.local_count = len(devices)
        kind = tf.DeviceSpec.from_string(devices[0]).device_type
        self.on_cpu = kind == "CPU"
        self.parallel_calls = 1
        if self.on_cpu:
            self.parallel_calls = max(1, num_cores() // len(devices))

    @property
    def are_local(self):
        """Whether all replicas belong to this process."""
        return self.count <= self.local_count

    @functools.cached_property
    def first(self):
        """Number of this process's first replica."""
        if self.are_local:
            return 0
        return int(self.one(self.distribute(tf.constant)))

    def distribute(self, value_fn):
        """The nests value_fn(number of the replica), each on its replica.

        Where this process has one replica, its values are plain tensors, as
        `strategy.run` returns them: graphs are traced for one kind of value.
        """
        values = self._strategy.experimental_distribute_values_from_function(
            lambda context: value_fn(context.replica_id_in_sync_group)
        )
        return values if self.local_count > 1 else self._local(values)[0]

    def broadcast(self, nest):
        """A nest of arrays, the same on every replica."""
        return self.distribute(
            lambda _: tf.nest.map_structure(tf.constant, nest)
        )

    def one(self, nest):
        """A nest that is the same on all replicas, as arrays."""
        return _to_numpy(self._local(nest)[0])

    def gather(self, state):
        """All replicas' `EstimatorState`s as one nest of arrays.

        All processes have to call this: each has a part.
        """
        parts = [_to_numpy(part) for part in self._local(state)]
        if not self.are_local:
            everyone = self.gather_bytes([_to_bytes(part) for part in parts])
            parts = [_from_bytes(content, parts[0]) for content in everyone]
        return self._division.join(parts)

    def template(self, state):
        """Arrays like those of `gather`, with other values.

        They need no communication, so that one process may ask for them.
        """
        part = _to_numpy(self._local(state)[0])
        return self._division.join([part] * self.count)

    def scatter(self, state):
        """The inverse of `gather`."""

        def part(replica):
            own = self._division.part(state, replica)
            return tf.nest.map_structure(tf.constant, own)

        return self.distribute(part)

    def exchange_seconds(self, count, repeats=5):
        """Least time of some sums of `count` bytes over the replicas.

        All processes have to call this.
        """
        times = []
        for _ in range(repeats + 1):  # The first one traces.
            start = time.perf_counter()
            self._sum(np.zeros(math.ceil(count / 4), np.int32))
            times.append(time.perf_counter() - start)
        return min(times[1:])

    def gather_bytes(self, contents):
        """What all replicas have, a list of bytes in their order.

        Args:
            contents: List of bytes, one per replica of this process.
        """
        if self.are_local:
            return list(contents)
        lengths = self._gather([np.int32([len(c)]) for c in contents])[:, 0]
        words = math.ceil(max(lengths) / 4)
        padded = [c.ljust(4 * words, b"\0") for c in contents]
        rows = self._gather([np.frombuffer(c, np.int32) for c in padded])
        return [row.tobytes()[:n] for row, n in zip(rows, lengths)]

    def send_bytes(self, content):
        """The first process's bytes, on all of them.

        Args:
            content: Bytes; those of the other processes are ignored.
        """
        if self.are_local:
            return content
        content = content if self.first == 0 else b""
        length = int(self._sum(np.int32([len(content)]))[0])
        padded = content.ljust(4 * math.ceil(length / 4), b"\0")
        own = np.frombuffer(padded, np.int32)
        return self._sum(own).tobytes()[:length]

    def _gather(self, vectors):
        """One int32 vector per local replica -> [count, n] of all."""
        values = self.distribute(
            lambda number: tf.constant(vectors[number - self.first])
        )
        return self.one(self._gather_graph(values))

    def _sum(self, vector):
        """The first replica's int32 vector: the others add zeros."""
        blank = np.zeros_like(vector)
        values = self.distribute(
            lambda number: tf.constant(blank if number else vector)
        )
        return self.one(self._sum_graph(values))

    @functools.cached_property
    def _gather_graph(self):
        def gather(vector):
            context = tf.distribute.get_replica_context()
            # Without `identity`, TensorFlow takes an argument for a variable's
            # value, and fails.
            return context.all_gather(tf.identity(vector)[None], axis=0)

        return self._graph(gather)

    @functools.cached_property
    def _sum_graph(self):
        def add(vector):
            context = tf.distribute.get_replica_context()
            total = tf.distribute.ReduceOp.SUM
            return context.all_reduce(total, tf.identity(vector))

        return self._graph(add)

    def _graph(self, function):
        run = self._strategy.run
        return tf.function(lambda v: run(function, (v,)), autograph=False)

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


def _to_bytes(nest):
    """All leaves of a nest of arrays, one after the other."""
    return b"".join(leaf.tobytes() for leaf in tf.nest.flatten(nest))


def _from_bytes(content, like):
    """The inverse of `_to_bytes`, for a nest of shapes and types like this."""
    leaves, position = [], 0
    for leaf in tf.nest.flatten(like):
        part = content[position : position + leaf.nbytes]
        leaves.append(np.frombuffer(part, leaf.dtype).reshape(leaf.shape))
        position += leaf.nbytes
    return tf.nest.pack_sequence_as(like, leaves)

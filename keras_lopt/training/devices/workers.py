"""The processes of one training: what they agree on, and who decides.

Every worker computes the same members from the same seeds. The first one, the
chief, alone reads and writes files, and says when to stop.
"""

import hashlib
import json
import zlib

import numpy as np
import tensorflow as tf


class Workers:
    """The processes that a strategy's replicas belong to.

    Args:
        replicas: The `Replicas`.

    Attributes:
        is_chief: Whether this is the process that reads and writes files. All
            processes have to call each method, in the same order.
    """

    def __init__(self, replicas):
        self._replicas = replicas
        self.are_alone = replicas.are_local
        self.is_chief = replicas.first == 0

    def _gather(self, content):
        """Every worker's bytes, by the number of its first replica."""
        local = self._replicas.local_count
        everyone = self._replicas.gather_bytes([content] * local)
        return everyone[::local]

    def exchange(self, count):
        """How long the replicas take to exchange so many bytes.

        Returns:
            Dict of `exchanged_bytes` and `exchange_seconds`; both are 0 where
            there is one replica.
        """
        count *= self._replicas.count > 1
        seconds = self._replicas.exchange_seconds(count) if count else 0.0
        return {"exchanged_bytes": count, "exchange_seconds": seconds}

    def check_same(self, settings):
        """Raises ValueError unless all workers have the same settings.

        Args:
            settings: Dict of JSON types.
        """
        if self.are_alone:
            return
        own = zlib.compress(json.dumps(settings, sort_keys=True).encode())
        first, *others = (
            json.loads(zlib.decompress(c)) for c in self._gather(own)
        )
        for number, other in enumerate(others, start=1):
            if differing := differences(first, other):
                raise ValueError(
                    "All workers must have the same settings and code; start "
                    "them with the same command. Received: worker 0 and worker "
                    f"{number} differ in {'; '.join(differing)}"
                )

    def check_members(self, members):
        """Raises RuntimeError unless all workers have the same members.

        Args:
            members: `population.Members`.
        """
        if self.are_alone:
            return
        names = list(vars(members))
        own = b"".join(_digest(value) for value in vars(members).values())
        first, *others = (
            [content[i : i + 8] for i in range(0, len(content), 8)]
            for content in self._gather(own)
        )
        for number, other in enumerate(others, start=1):
            differing = [n for n, a, b in zip(names, first, other) if a != b]
            if differing:
                raise RuntimeError(
                    "All workers must compute the same members. Received: "
                    f"{differing} of worker {number} differ from worker 0's; "
                    "use machines of one kind, with the same versions of "
                    "Python, NumPy and TensorFlow"
                )

    def any_wants(self, wish):
        """Whether any worker's wish is True."""
        return any(self.all_have(bool(wish)))

    def all_have(self, value):
        """All workers' values, of JSON types, as a list."""
        content = json.dumps(value).encode()
        return [json.loads(content) for content in self._gather(content)]

    def chief_says(self, value):
        """The chief's value, of JSON types, on all workers."""
        content = json.dumps(value).encode()
        return json.loads(self._replicas.send_bytes(content))

    def chief_does(self, function):
        """What function(), called by the chief alone, returns: JSON types.

        Raises:
            Exception: What it raised; a ValueError on the other workers.
        """
        if self.are_alone:
            return function()
        caught = value = None
        if self.is_chief:
            try:
                value = function()
            except Exception as error:
                caught = error
        value, problem = self.chief_says([value, caught and str(caught)])
        if caught is not None:
            raise caught
        if problem is not None:
            raise ValueError(f"Worker 0 has ended. Received: {problem}")
        return value

    def chief_sends(self, arrays):
        """The chief's list of arrays, on all workers."""
        if self.are_alone:
            return arrays
        own = arrays if self.is_chief else []
        kinds = self.chief_says([[a.dtype.str, a.shape] for a in own])
        content = b"".join(a.tobytes() for a in own)
        content, received = self._replicas.send_bytes(content), []
        for dtype, shape in kinds:
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            part, content = content[:size], content[size:]
            received.append(np.frombuffer(part, dtype).reshape(shape))
        return received


def differences(first, second, name=""):
    """Where two dicts of JSON types differ, as `name: value and value`."""
    if isinstance(first, dict) and isinstance(second, dict):
        return [
            line
            for key in sorted(first.keys() | second.keys())
            for line in differences(
                first.get(key), second.get(key), f"{name}.{key}".strip(".")
            )
        ]
    return [] if first == second else [f"{name}: {first!r} and {second!r}"]


def _digest(nest):
    """8 bytes that differ where arrays do."""
    digest = hashlib.sha256()
    for leaf in tf.nest.flatten(nest):
        digest.update(np.asarray(leaf).tobytes())
    return digest.digest()[:8]

"""Training state on disk: written atomically, continued bit for bit."""

import json
import os
import warnings

import numpy as np
import tensorflow as tf

from keras_lopt.training.output import files
from keras_lopt.training.state import PopulationState

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


class TrainingCheckpoint:
    """Checkpoints of a `PopulationTrainer` in a folder.

    One process reads and writes them, the chief; what it has read it sends to
    the others.

    Args:
        trainer: The trainer.
        folder: Where the checkpoints are, a path for tf.io.gfile.
        keep: How many of the newest checkpoints to keep.
    """

    def __init__(self, trainer, folder, keep=3):
        self.trainer = trainer
        self.folder = folder
        self._keep = keep
        self._read = {}  # path -> (leaves, log) or None, if it is damaged
        self._variables = None
        self._log = None
        self._manager = None

    def exists(self):
        """Whether there is any checkpoint, intact or not."""
        return bool(self._paths())

    def generation(self):
        """Generation of the newest intact checkpoint, -1 if there is none.

        It is read for that: what its name says may not be true.
        """
        for path in self._paths():
            if self._contents(path):
                return _number(path)
        return -1

    def _paths(self):
        """Prefixes of the checkpoints, the newest first."""
        # One that has lost its index counts, so that this is said.
        found = {
            files.join(self.folder, name.rpartition(".")[0])
            for name in files.names(self.folder)
            if name.endswith(".index") or ".data-" in name
        }
        numbered = [p for p in found if p.rsplit("-", 1)[-1].isdigit()]
        return sorted(numbered, key=_number, reverse=True)

    def _contents(self, path, template=None):
        """Leaves and log of a checkpoint; None, and a warning, if it is torn.

        Args:
            path: Its prefix.
            template: Leaves whose shapes and types it must have.
        """
        if path not in self._read:
            self._read[path] = None
            try:
                found = _load(path)
                if template is not None:
                    _check_like(found[0], template)
                self._read[path] = found
            except Exception as error:  # Damage shows as any of a dozen types.
                warnings.warn(
                    f"Checkpoint {path} is skipped, it can't be read: "
                    f"{(str(error).splitlines() or [repr(error)])[0]}",
                    stacklevel=3,
                )
        return self._read[path]

    def save(self):
        """Writes the trainer's state and history.

        All workers call this, since each has a part of the state.

        Raises:
            OSError: It can't be written. The older checkpoints are intact.
        """
        state, workers = self.trainer.state, self.trainer.workers
        arrays = state.to_arrays(self.trainer.devices.replicas)
        if not workers.is_chief:
            return
        leaves = tf.nest.flatten(arrays)
        with files.os_errors("written", self.folder):
            self._prepare(leaves)
            for variable, leaf in zip(self._variables, leaves, strict=True):
                variable.assign(leaf)
            self._log.assign(json.dumps(state.log()))
            self._manager.save(checkpoint_number=state.generation)
        self._read.clear()

    def _prepare(self, leaves):
        """Variables that hold the state on its way to disk."""
        if self._manager is not None:
            return
        with tf.device("CPU:0"):
            self._variables = [tf.Variable(leaf) for leaf in leaves]
            self._log = tf.Variable("[]", dtype=tf.string)
        checkpoint = tf.train.Checkpoint(state=self._variables, log=self._log)
        self._manager = tf.train.CheckpointManager(
            checkpoint, self.folder, max_to_keep=self._keep
        )

    def restore(self):
        """Puts the trainer where the newest intact checkpoint was.

        Returns:
            Whether there was one. Torn ones are skipped with a warning.

        Raises:
            ValueError: There are checkpoints, but none is intact.
        """
        self.trainer.compile()
        replicas, workers = self.trainer.devices.replicas, self.trainer.workers
        template = self.trainer.state.template(replicas)
        leaves = []

        def find():
            found = self._newest(tf.nest.flatten(template))
            if found is None:
                return None
            leaves[:] = found[0]
            return found[1]

        log = workers.chief_does(find)
        if log is None:
            return False
        leaves = workers.chief_sends(leaves)
        self.trainer.state = PopulationState.from_arrays(
            tf.nest.pack_sequence_as(template, leaves), log, replicas
        )
        return True

    def _newest(self, template):
        paths = self._paths()
        for path in paths:
            if found := self._contents(path, template):
                return found
        if not paths:
            return None
        raise ValueError(
            f"`out_dir` has checkpoints in {self.folder}, but none can be "
            f"read. Received: {[os.path.basename(p) for p in paths]}; use "
            "another out_dir, or --resume=never to start again"
        )


def _number(path):
    return int(path.rsplit("-", 1)[1])


def _load(path):
    """All of a checkpoint, which TensorFlow's checksums verify."""
    reader = tf.compat.v1.train.NewCheckpointReader(path)
    # All of it: damage anywhere is found.
    found = {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
    }
    count = sum(name.startswith("state/") for name in found)
    leaves = [found[f"state/{i}{_SUFFIX}"] for i in range(count)]
    log = json.loads(found[f"log{_SUFFIX}"])
    if log["generation"] != _number(path):
        raise ValueError(
            f"it is a copy of that of generation {log['generation']}"
        )
    return [np.asarray(leaf) for leaf in leaves], log


def _check_like(leaves, template):
    for leaf, like in zip(leaves, template, strict=True):
        like = np.asarray(like)
        if (leaf.shape, leaf.dtype) != (like.shape, like.dtype):
            raise ValueError(
                f"it has an array {leaf.shape} of {leaf.dtype} where this "
                f"experiment has {like.shape} of {like.dtype}"
            )

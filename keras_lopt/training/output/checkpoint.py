"""Training state on disk: written atomically, continued bit for bit."""

import glob
import json
import os
import warnings

import numpy as np
import tensorflow as tf

from keras_lopt.training.state import PopulationState


class TrainingCheckpoint:
    """Checkpoints of a `PopulationTrainer` in a folder.

    Args:
        trainer: The trainer.
        folder: Where the checkpoints are.
        keep: How many of the newest checkpoints to keep.
    """

    def __init__(self, trainer, folder, keep=3):
        self.trainer = trainer
        self.folder = folder
        self._keep = keep
        self._variables = None
        self._history = None
        self._manager = None

    def exists(self):
        """Whether there is any checkpoint, intact or not."""
        return bool(self._paths())

    def generation(self):
        """Generation of the newest checkpoint, -1 if there is none."""
        paths = self._paths()
        return int(paths[0].rsplit("-", 1)[1]) if paths else -1

    def _paths(self):
        """Prefixes of the checkpoints, the newest first."""
        names = glob.glob(os.path.join(glob.escape(self.folder), "*.index"))
        prefixes = [name.removesuffix(".index") for name in names]
        numbered = [p for p in prefixes if p.rsplit("-", 1)[-1].isdigit()]
        return sorted(
            numbered, key=lambda p: int(p.rsplit("-", 1)[1]), reverse=True
        )

    def _arrays(self):
        """The trainer's state, which has the structure of any to restore."""
        self.trainer.compile()
        return self.trainer.state.to_arrays(self.trainer.devices.replicas)

    def _prepare(self):
        """Variables that hold the state on its way to and from disk."""
        if self._manager is not None:
            return
        leaves = tf.nest.flatten(self._arrays())
        with tf.device("CPU:0"):
            self._variables = [tf.Variable(leaf) for leaf in leaves]
            self._history = tf.Variable("[]", dtype=tf.string)
        checkpoint = tf.train.Checkpoint(
            state=self._variables, history=self._history
        )
        self._manager = tf.train.CheckpointManager(
            checkpoint, self.folder, max_to_keep=self._keep
        )

    def save(self):
        """Writes the trainer's state and history."""
        self._prepare()
        leaves = tf.nest.flatten(self._arrays())
        for variable, leaf in zip(self._variables, leaves, strict=True):
            variable.assign(leaf)
        self._history.assign(json.dumps(self.trainer.history))
        self._manager.save(checkpoint_number=self.trainer.generation)

    def restore(self):
        """Puts the trainer where the newest intact checkpoint was.

        Returns:
            Whether there was one. Torn ones are skipped with a warning.

        Raises:
            ValueError: There are checkpoints, but none is intact.
        """
        paths = self._paths()
        if not paths:
            return False
        self._prepare()
        for path in paths:
            try:
                status = self._manager.checkpoint.restore(path)
                status.assert_existing_objects_matched()
                history = json.loads(self._history.numpy())
            except Exception as error:  # Damage shows as any of a dozen types.
                warnings.warn(
                    f"Checkpoint {path} is skipped, it can't be read: "
                    f"{str(error).splitlines()[0]}",
                    stacklevel=2,
                )
                continue
            self._apply(history)
            return True
        raise ValueError(
            f"`out_dir` has checkpoints in {self.folder}, but none can be "
            f"read. Received: {[os.path.basename(p) for p in paths]}; use "
            "another out_dir, or --resume=never to start again"
        )

    def _apply(self, history):
        leaves = [np.asarray(v.numpy()) for v in self._variables]
        self.trainer.state = PopulationState.from_arrays(
            tf.nest.pack_sequence_as(self._arrays(), leaves),
            history,
            self.trainer.devices.replicas,
        )

"""What happens after a generation: Keras callbacks, generations as epochs.

They read rows from the trainer's history, since Keras turns logs into floats.
"""

import io
import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_lopt import checkpoints
from keras_lopt.training.output import files, records


class CSVHistory(keras.callbacks.Callback):
    """history.csv, one row per generation; members.csv, one row per child.

    Args:
        folder: Where the files are. When training begins, both are what the
            checkpoint says: rows after it, from a run that was killed, are
            dropped, and what is missing or damaged is written anew.
    """

    def __init__(self, folder):
        super().__init__()
        self._history = files.join(folder, "history.csv")
        self._members = files.join(folder, "members.csv")

    def on_train_begin(self, logs=None):
        state = self.model.state
        _repair(self._history, records.csv_text(state.history))
        _repair(self._members, records.unpacked_csv(state.children))

    def on_epoch_end(self, epoch, logs=None):
        rows = self.model.history
        _append_csv(self._history, rows[-1:], first=len(rows) == 1)
        _append_csv(self._members, self.model.child_rows, first=epoch == 1)


def _repair(path, text):
    """Makes a file what it must be; says so if that was damage."""
    expected, found = text.encode(), files.read(path)
    if found == expected or (found is None and not expected):
        return
    files.write(path, expected)
    if found is None or not found.startswith(expected):
        how = "missing" if found is None else "incomplete or changed"
        _say_repaired(path, how)


def _say_repaired(path, how):
    print(
        f"{os.path.basename(path)} was {how}: it is written anew from the "
        "checkpoint",
        flush=True,
    )


def _append_csv(path, rows, first):
    if rows:
        files.append(path, records.csv_text(rows, header=first))


#: Groups of the history's columns, in TensorBoard.
_GROUPS = {
    "scores": ("best_score", "median_score", "worst_score", "best_train_loss"),
    "selection": ("accepted_fraction", "best_multiplier", "best_id"),
    "training": ("mean_outer_loss", "outer_step", "inner_steps"),
    "speed": (
        "inner_steps_per_second",
        "seconds",
        "exchanged_bytes",
        "exchange_seconds",
    ),
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}


class TensorBoard(keras.callbacks.Callback):
    """The history in TensorBoard, over generations.

    Scalars are in groups: scores, selection, training, speed (with what each
    replica exchanges per outer step), machine (the most memory that this
    process had so far); of a mixture, the score on each task and its share of
    the outer steps. The multipliers of the children are histograms,
    the configuration is a text, and at the end the family tree is an image.

    Args:
        folder: Where the event files are.
        text: The configuration, or "".
    """

    def __init__(self, folder, text=""):
        super().__init__()
        self._folder = folder
        self._text = text
        self._writer = None

    def on_train_begin(self, logs=None):
        self._writer = tf.summary.create_file_writer(self._folder)
        if self._text:
            indented = "".join(
                f"    {line}\n" for line in self._text.split("\n")
            )
            with (
                files.os_errors("written", self._folder),
                self._writer.as_default(step=0),
            ):
                tf.summary.text("configuration", indented)

    def on_epoch_end(self, epoch, logs=None):
        with (
            files.os_errors("written", self._folder),
            self._writer.as_default(step=epoch),
        ):
            for name, value in self.model.history[-1].items():
                if name != "generation":  # It is the step.
                    group = _GROUP_OF.get(name)
                    tag = f"{group}/{name}" if group else name
                    tf.summary.scalar(tag, value)
            for name, value in self._machine().items():
                tf.summary.scalar(f"machine/{name}", value)
            rows = self.model.child_rows
            if rows and "multiplier" in rows[0]:
                multipliers = [row["multiplier"] for row in rows]
                tf.summary.histogram("selection/multipliers", multipliers)

    def on_train_end(self, logs=None):
        state = self.model.state
        if state.children:
            with (
                files.os_errors("written", self._folder),
                self._writer.as_default(step=state.generation),
            ):
                tree = tf.io.decode_png(_family_tree(state), channels=3)
                tf.summary.image("selection/family_tree", tree[None])
        self._writer.close()

    def _machine(self):
        found = {}
        if sys.platform != "win32":
            import resource  # Windows does not have it.

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            unit = 2**20 if sys.platform == "darwin" else 2**10
            found["peak_memory_mb"] = peak / unit
        return found


def _family_tree(state):
    """The family tree of a `PopulationState`'s best member, a PNG."""
    from keras_lopt import pictures  # matplotlib, which takes its time.

    text = io.StringIO(records.unpacked_csv(state.children))
    members = np.genfromtxt(text, delimiter=",", names=True, ndmin=1)
    best = state.history[-1]["best_id"]
    return pictures.png(pictures.plot_family(members, best))


class BestMember(keras.callbacks.Callback):
    """Keeps the best member's optimizer file up to date.

    Args:
        path: Of the file.
        metadata: Provenance, a dict of JSON types; score and generation are
            added.
    """

    def __init__(self, path, metadata):
        super().__init__()
        self._path = os.fspath(path)
        self._metadata = metadata
        self._saved = None

    def on_train_begin(self, logs=None):
        if self.model.state.best is None:
            return
        found, expected = files.read(self._path), self._content()
        self._saved = self.model.state.best["id"]
        if found == expected:
            return
        files.write(self._path, expected)
        # A run that was killed may have been ahead of its checkpoint.
        if found is None or not _is_ahead(found, self.model.generation):
            how = "missing" if found is None else "damaged or another's"
            _say_repaired(self._path, how)

    def on_epoch_end(self, epoch, logs=None):
        if self.model.state.best["id"] != self._saved:
            files.write(self._path, self._content())
            self._saved = self.model.state.best["id"]

    def _content(self):
        return _best_file(self.model, self._metadata)


def _is_ahead(content, generation):
    """Whether an optimizer file is of a later generation."""
    try:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        metadata = json.loads(header["__metadata__"]["metadata"])
        return metadata["generation"] > generation
    except (ValueError, KeyError, TypeError):
        return False


class Snapshots(keras.callbacks.Callback):
    """Keeps the best member's file of every few minutes of training.

    They are generation_000123.safetensors and so on; one of them is to be
    released, by `evaluation.choose`.

    Args:
        folder: Where the files are; created when the first one is written.
        minutes: Minutes of training between two files, compilation not
            counted. The time before a resume counts.
        metadata: As for `BestMember`.
    """

    def __init__(self, folder, minutes, metadata):
        super().__init__()
        self._folder = folder
        self._seconds = 60.0 * minutes
        self._metadata = metadata
        self._done = 0

    def on_train_begin(self, logs=None):
        self._done = self._due()

    def on_epoch_end(self, epoch, logs=None):
        if self._due() == self._done:
            return
        files.make_folder(self._folder)
        name = f"generation_{self.model.generation:06d}.safetensors"
        content = _best_file(self.model, self._metadata)
        files.write(files.join(self._folder, name), content)
        self._done = self._due()

    def _due(self):
        """Number of files that the training so far should have."""
        return int(self.model.state.seconds // self._seconds)


def _best_file(trainer, metadata):
    """The best member's optimizer file, as bytes."""
    best = {k: v for k, v in trainer.state.best.items() if k != "id"}
    return checkpoints.to_bytes(
        trainer.experiment.rule, trainer.best_theta(), {**metadata, **best}
    )


class Checkpoint(keras.callbacks.Callback):
    """Saves the training state after every `every`-th generation.

    Args:
        checkpoint: A `TrainingCheckpoint`.
        every: Generations between two saves.
    """

    def __init__(self, checkpoint, every=1):
        super().__init__()
        self._checkpoint = checkpoint
        self._every = every

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self._every == 0:
            self._checkpoint.save()


class TimeLimit(keras.callbacks.Callback):
    """Stops after a number of seconds of training, compilation not counted.

    Args:
        seconds: The limit.
    """

    def __init__(self, seconds):
        super().__init__()
        self._seconds = seconds

    def on_train_begin(self, logs=None):
        # The time before a resume counts.
        self.on_epoch_end(epoch=None)

    def on_epoch_end(self, epoch, logs=None):
        if self.model.state.seconds >= self._seconds:
            self.model.stop_training = True

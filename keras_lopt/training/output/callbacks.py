"""What happens after a generation: Keras callbacks, generations as epochs.

They read rows from the trainer's history, since Keras turns logs into floats.
"""

import csv
import os

import keras
import tensorflow as tf

from keras_lopt import checkpoints
from keras_lopt.training.output.progress import Progress  # noqa: F401


class CSVHistory(keras.callbacks.Callback):
    """history.csv, one row per generation; members.csv, one row per child.

    Args:
        folder: Where the files are. Rows after the trainer's generation, from
            a run that was killed, are dropped when training begins.
    """

    def __init__(self, folder):
        super().__init__()
        self._history = os.path.join(folder, "history.csv")
        self._members = os.path.join(folder, "members.csv")

    def on_train_begin(self, logs=None):
        _write_csv(self._history, self.model.history)
        if not os.path.exists(self._members):
            return
        with open(self._members, newline="") as file:
            rows = [
                row
                for row in csv.DictReader(file)
                if (row["generation"] or "").isdigit()
                and int(row["generation"]) <= self.model.generation
                and None not in row.values()
            ]
        _write_csv(self._members, rows)

    def on_epoch_end(self, epoch, logs=None):
        _append_csv(self._history, self.model.history[-1:])
        _append_csv(self._members, self.model.child_rows)


def _write_csv(path, rows):
    temporary = f"{path}.tmp"
    with open(temporary, "w", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    os.replace(temporary, path)


def _append_csv(path, rows):
    if not rows:
        return
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows(rows)


#: Groups of the history's columns, in TensorBoard.
_GROUPS = {
    "scores": ("best_score", "median_score", "worst_score", "best_train_loss"),
    "selection": ("accepted_fraction", "best_multiplier", "best_id"),
    "training": ("mean_outer_loss", "outer_step", "inner_steps"),
    "speed": ("inner_steps_per_second", "seconds"),
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}


class TensorBoard(keras.callbacks.Callback):
    """The history in TensorBoard, over generations.

    Scalars are in groups: scores, selection, training, speed; of a mixture,
    the score on each task and its share of the outer steps. The multipliers
    of the children are histograms, and the configuration is a text.

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
            with self._writer.as_default(step=0):
                tf.summary.text("configuration", indented)

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default(step=epoch):
            for name, value in self.model.history[-1].items():
                if name != "generation":  # It is the step.
                    group = _GROUP_OF.get(name)
                    tag = f"{group}/{name}" if group else name
                    tf.summary.scalar(tag, value)
            rows = self.model.child_rows
            if rows and "multiplier" in rows[0]:
                multipliers = [row["multiplier"] for row in rows]
                tf.summary.histogram("selection/multipliers", multipliers)

    def on_train_end(self, logs=None):
        self._writer.close()


class BestMember(keras.callbacks.Callback):
    """Keeps the best member's optimizer file up to date.

    Args:
        path: Of the file.
        metadata: Provenance, a dict of JSON types; score and generation are
            added.
    """

    def __init__(self, path, metadata):
        super().__init__()
        self._path = path
        self._metadata = metadata
        self._saved = None

    def on_epoch_end(self, epoch, logs=None):
        trainer = self.model
        members, best = trainer.members, trainer.members.best
        if members.ids[best] == self._saved:
            return
        metadata = {
            **self._metadata,
            "generation": trainer.generation,
            "outer_step": trainer.outer_step,
            "score": float(members.scores[best]),
            "train_loss": float(members.train_losses[best]),
        }
        rule = trainer.experiment.rule
        checkpoints.save(self._path, rule, trainer.best_theta(), metadata)
        self._saved = members.ids[best]


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

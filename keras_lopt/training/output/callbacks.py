"""What happens after a generation: Keras callbacks, generations as epochs.

They read rows from the trainer's history, since Keras turns logs into floats.
"""

import csv
import os
import shutil
import sys

import keras
import tensorflow as tf

from keras_lopt import checkpoints


class Progress(keras.callbacks.Callback):
    """One live line on a terminal, one line per generation elsewhere.

    Args:
        stream: Where to write; default: standard output.
    """

    _TEXT = (
        "generation {generation}/{total}  outer step {outer_step}  best "
        "{best_score:.3f} (train {best_train_loss:.3f})  median "
        "{median_score:.3f}  worst {worst_score:.3f}  accepted "
        "{accepted_fraction:.2f}  {inner_steps_per_second:,.0f} inner steps/s"
        "  {seconds:.0f} s"
    )

    def __init__(self, stream=None):
        super().__init__()
        self.stream = stream or sys.stdout

    def on_epoch_end(self, epoch, logs=None):
        row = self.model.history[-1]
        text = self._TEXT.format(total=self.params["epochs"], **row)
        live = self.stream.isatty()
        if live:
            done = epoch / max(1, self.params["epochs"])
            bar = "=" * round(20 * done)
            # Every 25th generation stays on the screen: the run's story.
            end = "\n" if epoch % 25 == 0 else ""
            # A wrapped line can't be cleared.
            width = shutil.get_terminal_size().columns - 1
            text = f"[{bar:<20}] {text}"[:width]
            text = f"\r\x1b[2K{text}{end}"
        else:
            text += "\n"
        self.stream.write(text)
        self.stream.flush()

    def on_train_end(self, logs=None):
        if self.stream.isatty():
            self.stream.write("\n")


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


class TensorBoard(keras.callbacks.Callback):
    """The history as TensorBoard scalars over generations.

    Args:
        folder: Where the event files are.
    """

    def __init__(self, folder):
        super().__init__()
        self._folder = folder
        self._writer = None

    def on_train_begin(self, logs=None):
        self._writer = tf.summary.create_file_writer(self._folder)

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default(step=epoch):
            for name, value in self.model.history[-1].items():
                tf.summary.scalar(name, value)

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
        members = self.model.members
        if members.ids[members.best] == self._saved:
            return
        _save_best(self._path, self.model, self._metadata)
        self._saved = members.ids[members.best]


def _save_best(path, trainer, metadata):
    """Writes the best member's optimizer file."""
    members, best = trainer.members, trainer.members.best
    metadata = {
        **metadata,
        "generation": trainer.generation,
        "outer_step": trainer.outer_step,
        "score": float(members.scores[best]),
        "train_loss": float(members.train_losses[best]),
    }
    rule = trainer.experiment.rule
    checkpoints.save(path, rule, trainer.best_theta(), metadata)


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
        os.makedirs(self._folder, exist_ok=True)
        name = f"generation_{self.model.generation:06d}.safetensors"
        path = os.path.join(self._folder, name)
        _save_best(path, self.model, self._metadata)
        self._done = self._due()

    def _due(self):
        """Number of files that the training so far should have."""
        return int(self.model.state.seconds // self._seconds)


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

"""What a person sees of training: how far it is, and how long it will take."""

import shutil
import sys
import threading
import time

import keras

from keras_lopt.run_texts import duration


class Progress(keras.callbacks.Callback):
    """One live line on a terminal, one line per generation elsewhere.

    Args:
        stream: Where to write; default: standard output.
        seconds: Time limit of the training, for the time that is left; None
            if it has none.
    """

    def __init__(self, stream=None, seconds=None):
        super().__init__()
        self.stream = stream or sys.stdout
        self.seconds = seconds
        self._begin = 0.0
        self._first = 0

    def on_train_begin(self, logs=None):
        self._begin = time.perf_counter()
        self._first = self.model.generation

    def on_train_batch_end(self, batch, logs=None):
        """A candidate was scored, before the first generation."""
        count = self.model.experiment.schedule.candidates
        if _is_live(self.stream):
            fields = [f"candidates of members: {batch + 1}/{count} scored"]
            self._write(_live_line((batch + 1) / count, fields))
        elif batch + 1 == count:
            self._write(f"{count} candidates of members are scored\n")

    def on_epoch_end(self, epoch, logs=None):
        total = self.params["epochs"]
        fields = self._fields(epoch, total, self.model.history[-1])
        if _is_live(self.stream):
            line = _live_line(epoch / max(1, total), fields)
            # Every 25th generation stays on the screen: the run's story.
            self._write(line + ("\n" if epoch % 25 == 0 else ""))
        else:
            self._write("  ".join(fields) + "\n")

    def on_train_end(self, logs=None):
        if _is_live(self.stream):
            self._write("\n")

    def _fields(self, epoch, total, row):
        """The parts of a line, the most important first."""
        fields = [
            f"generation {epoch}/{total}",
            f"best score {row['best_score']:.3f}",
        ]
        if left := self._time_left(epoch, total):
            fields.append(f"{left} left")
        return [
            *fields,
            f"{row['seconds']:.0f} s",
            f"training loss {row['best_train_loss']:.3f}",
            f"median {row['median_score']:.3f}",
            f"worst {row['worst_score']:.3f}",
            f"accepted {row['accepted_fraction']:.0%}",
            f"{row['inner_steps_per_second']:,.0f} inner steps/s",
        ]

    def _time_left(self, epoch, total):
        """A duration as text, "" if it is not known or over."""
        done = epoch - self._first
        if done < 1 or epoch >= total:
            return ""
        left = (time.perf_counter() - self._begin) / done * (total - epoch)
        if self.seconds is not None:
            left = min(left, self.seconds - self.model.state.seconds)
        return duration(max(0.0, left))

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()


class Waiting:
    """While the context lasts, says that something takes long, and how long.

    Args:
        text: What is going on, such as "compiling".
        stream: Where to write; default: standard output.
        every: Seconds between two lines where `stream` is no terminal.
    """

    def __init__(self, text, stream=None, every=30.0):
        self._text = text
        self._stream = stream or sys.stdout
        self._live = _is_live(self._stream)
        self._pause = 1.0 if self._live else every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()
        if self._live:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()

    def _tell(self):
        begin = time.perf_counter()
        while not self._over.wait(self._pause):
            text = f"{self._text}: {duration(time.perf_counter() - begin)}"
            text = f"\r\x1b[2K{text[: _width()]}" if self._live else f"{text}\n"
            self._stream.write(text)
            self._stream.flush()


def _is_live(stream):
    return hasattr(stream, "isatty") and stream.isatty()


def _width():
    return shutil.get_terminal_size().columns - 1


def _live_line(done, fields):
    """A bar and as many fields as fit; a wrapped line can't be cleared."""
    width = _width()
    line = f"[{'=' * round(20 * done):<20}] {fields[0]}"
    for field in fields[1:]:
        if len(line) + 2 + len(field) > width:
            break
        line += f"  {field}"
    return f"\r\x1b[2K{line[:width]}"

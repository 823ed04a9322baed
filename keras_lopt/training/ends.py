"""How training ends early: by a signal, or with a worker that is gone."""

import contextlib
import os
import signal
import sys
import threading

import keras

#: How to go on, in every message.
GO_ON = "to go on, give the same command again (--resume=auto)"
_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM and SIGINT: the first ends training after this generation.

    The second ends it at once, and so does the first before training: then
    there is nothing to save. A context; in threads other than the main one it
    does nothing.

    Args:
        at_end: Function that is called before the process ends at once.

    Attributes:
        received: Number of the first signal, or None.
        training: Set to True when there are generations to end after.
    """

    def __init__(self, at_end=lambda: None):
        self.received = None
        self.training = False
        self._at_end = at_end
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is not threading.main_thread():
            return self
        # Python calls handlers between two calls of TensorFlow, which may take
        # a minute. It writes a signal's number to this pipe at once.
        self._ends = os.pipe()
        os.set_blocking(self._ends[1], False)
        self._wakeup = signal.set_wakeup_fd(
            self._ends[1], warn_on_full_buffer=False
        )
        for number in _NUMBERS:
            # What is ignored, as by nohup, stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, lambda *_: None)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *error):
        if not hasattr(self, "_ends"):
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.write(self._ends[1], b"\0")
        self._watcher.join()
        for end in self._ends:
            os.close(end)

    def _watch(self):
        while number := os.read(self._ends[0], 1)[0]:
            if number in self._before:
                self._receive(signal.Signals(number))

    def _receive(self, number):
        if self.training and self.received is None:
            self.received = number
            _say(
                f"{number.name}: ends after this generation, with a checkpoint;"
                " a second signal ends at once"
            )
            return
        _say(f"{number.name}: ended at once; {GO_ON}")
        with contextlib.suppress(Exception):
            self._at_end()
        os._exit(128 + number)


def name(number):
    """Name of a signal."""
    return signal.Signals(number).name


def _say(line):
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)


class EndOnSignal(keras.callbacks.Callback):
    """Stops training after the generation in which a signal came.

    Args:
        signals: A `Signals`.
    """

    def __init__(self, signals):
        super().__init__()
        self._signals = signals

    def on_epoch_end(self, epoch, logs=None):
        if self._signals.received is not None:
            self.model.stop_training = True

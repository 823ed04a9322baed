"""SIGTERM and SIGINT: a checkpoint, one line, the exit code of the signal."""

import os
import signal
import threading
import time

import pytest

from keras_lopt.training import ends
from keras_lopt.training.output import lock, manifest
from tests import tiny
from tests.benchmarks.kill_and_resume import differences

GENERATIONS = 4
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a run that nothing happened to."""
    out_dir = tmp_path_factory.mktemp("whole") / "run"
    tiny.run(out_dir, generations=GENERATIONS)
    return out_dir


@pytest.fixture(autouse=True)
def interruptible():
    """In a shell's background, tests begin with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def wait_until(condition):
    end = time.monotonic() + 20.0
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


@pytest.fixture
def signalled(monkeypatch):
    """Callable: sends a signal to this process during a generation."""

    def send(number, generation):
        made = []
        begin, write = ends.Signals.__init__, manifest.write

        def remember(self, *args):
            made.append(self)
            begin(self, *args)

        def disturb(out_dir, done):
            write(out_dir, done)
            if (
                done == generation
                and made[-1].training
                and not made[-1].received
            ):
                os.kill(os.getpid(), number)
                wait_until(lambda: made[-1].received)

        monkeypatch.setattr(ends.Signals, "__init__", remember)
        monkeypatch.setattr(manifest, "write", disturb)

    return send


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("generation", [0, 2])
def test_a_signal_ends_after_the_generation_and_nothing_is_lost(
    tmp_path, whole, signalled, monkeypatch, capfd, number, generation
):
    out_dir = tmp_path / "run"
    handlers = [signal.getsignal(n) for n in CODES]
    signalled(number, generation)
    with pytest.raises(SystemExit) as caught:
        tiny.run(out_dir, generations=GENERATIONS)
    monkeypatch.undo()
    assert caught.value.code == CODES[number]
    assert [signal.getsignal(n) for n in CODES] == handlers
    printed = capfd.readouterr()
    name = signal.Signals(number).name
    assert f"{name}: ends after this generation" in printed.err
    last = printed.out.splitlines()[-1]
    assert last.startswith(f"ended by {name} after generation ")
    assert last.endswith(ends.GO_ON)
    assert not (out_dir / lock.NAME).exists()
    tiny.run(out_dir, generations=GENERATIONS)
    assert differences(out_dir, whole) == []


@pytest.fixture
def exits(monkeypatch):
    """List of the codes that the process would have ended with."""
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


def test_the_second_signal_ends_at_once(exits, capfd):
    called = []
    with ends.Signals(lambda: called.append(True)) as signals:
        signals.training = True
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: signals.received == signal.SIGTERM)
        assert exits == []
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: exits == [130])
    assert called == [True]
    assert "SIGINT: ended at once" in capfd.readouterr().err


def test_before_training_the_first_signal_ends_at_once(exits):
    with ends.Signals():
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: exits == [143])


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ends.Signals() as signals:
            signals.training = True
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            assert signals.received is None
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_signals_alone():
    before = signal.getsignal(signal.SIGTERM)

    def enter():
        with ends.Signals():
            found.append(signal.getsignal(signal.SIGTERM))

    found = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]

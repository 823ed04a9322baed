"""What a person sees of training, on a terminal and in a file."""

import io
import time
import types

import pytest

from keras_lopt.run_texts import duration
from keras_lopt.training import Progress
from keras_lopt.training.output.progress import Waiting
from tests.training.output.played import played, stand_in


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True

    def screen(self):
        """Lines that a person sees: a line may be cleared and rewritten."""
        return [
            line.rpartition("\r\x1b[2K")[2]
            for line in self.getvalue().split("\n")
        ]


class TestProgress:
    def test_writes_one_line_per_generation_to_a_file(self):
        stream = io.StringIO()
        played(Progress(stream), stand_in(), [0, 1, 2, 3])
        lines = stream.getvalue().splitlines()
        assert len(lines) == 4
        assert lines[3] == (
            "generation 3/3  best score 0.250  2 s  training loss 0.125  "
            "median 2.000  worst 3.000  accepted 25%  12,346 inner steps/s"
        )
        assert "\r" not in stream.getvalue()
        assert "\x1b" not in stream.getvalue()

    def test_a_terminal_has_one_live_line(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "300")
        stream = Terminal()
        played(Progress(stream), stand_in(), [0, 1, 2, 3])
        start, live, end = stream.screen()
        assert "generation 0/3" in start  # It stays, as every 25th.
        assert live.startswith("[====================] generation 3/3")
        assert end == ""

    def test_the_bar_grows_with_the_generations(self):
        stream = Terminal()
        played(Progress(stream), stand_in(), [0, 1, 2, 3, 4])
        bars = [part.count("=") for part in stream.getvalue().split("\r")[1:]]
        assert bars == [0, 5, 10, 15, 20]

    def test_every_25th_generation_stays(self):
        stream = Terminal()
        played(Progress(stream), stand_in(), list(range(61)))
        shown = [line for line in stream.screen() if line]
        for line, generation in zip(shown, [0, 25, 50, 60], strict=True):
            assert f"generation {generation}/60" in line

    @pytest.mark.parametrize("columns", [40, 80, 120])
    def test_the_live_line_fits_the_terminal(self, columns, monkeypatch):
        """A wrapped line can't be cleared: each update would stay."""
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = Terminal()
        played(Progress(stream), stand_in(), list(range(5)))
        updates = stream.getvalue().replace("\n", "").split("\r\x1b[2K")
        assert max(map(len, updates)) <= columns

    def test_zero_generations_show_an_empty_bar(self):
        stream = Terminal()
        played(Progress(stream), stand_in(), [0])
        assert "[                    ] generation 0/0" in stream.getvalue()

    def clock(self, monkeypatch, times):
        """Sets what the clock says, one time per look at it."""
        times = iter(times)
        monkeypatch.setattr(time, "perf_counter", lambda: next(times))

    def test_says_how_long_it_will_take(self, monkeypatch):
        self.clock(monkeypatch, [100.0, 110.0, 120.0])
        stream = io.StringIO()
        progress = Progress(stream)
        played(progress, stand_in(), [0, 1, 2, 100][:3])
        assert (
            "generation 1/2  best score 0.500  10 s left" in stream.getvalue()
        )

    def test_a_time_limit_bounds_what_is_left(self, monkeypatch):
        self.clock(monkeypatch, [0.0, 1000.0])
        stream = io.StringIO()
        progress = Progress(stream, seconds=30.0)
        progress.set_params({"epochs": 100})
        trainer = stand_in()
        progress.set_model(trainer)
        progress.on_train_begin()
        trainer.state.seconds = 10.0
        progress.on_epoch_end(1)
        assert "  20 s left  " in stream.getvalue()

    @pytest.mark.parametrize(
        "stream, expected",
        [
            (io.StringIO(), "3 candidates of members are scored\n"),
            (Terminal(), "[=============       ] candidates of members: 2/3"),
        ],
    )
    def test_candidates_are_counted(self, stream, expected):
        progress = Progress(stream)
        schedule = types.SimpleNamespace(candidates=3)
        experiment = types.SimpleNamespace(schedule=schedule)
        progress.set_model(stand_in(experiment=experiment))
        for i in range(3):
            progress.on_train_batch_end(i)
        assert expected in stream.getvalue()


class TestWaiting:
    def test_a_file_gets_a_line_now_and_then(self):
        stream = io.StringIO()
        with Waiting("compiling", stream, every=0.001):
            while "\n" not in stream.getvalue():
                time.sleep(0.001)
        assert stream.getvalue().startswith("compiling: 0 s\n")

    def test_what_is_short_is_not_mentioned(self):
        stream = io.StringIO()
        with Waiting("compiling", stream):
            pass
        assert stream.getvalue() == ""

    def test_a_terminal_is_left_clean(self):
        stream = Terminal()
        with Waiting("compiling", stream):
            pass
        assert stream.screen() == [""]


@pytest.mark.parametrize(
    "seconds, text",
    [(0.4, "0 s"), (119, "119 s"), (150, "2 min"), (9000, "2.5 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text

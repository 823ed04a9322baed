"""keras-lopt: its commands, its help, and what it says when it can't."""

import os
import pathlib
import subprocess
import sys

import pytest

from keras_lopt import commands, config, evaluation
from keras_lopt.commands import start
from keras_lopt.commands.main import COMMANDS


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(argv, capsys):
    assert commands.main(argv) == 0
    text = capsys.readouterr().out
    for name, (_, what) in COMMANDS.items():
        assert name in text and what in text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main([name, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: keras-lopt {name} ")
    assert f"\n  keras-lopt {name}" in text


def test_a_misspelled_command_is_told_the_nearest(capsys):
    assert commands.main(["trian"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("Received: 'trian'. Did you mean 'train'?\n")


def test_the_version(capsys):
    assert commands.main(["--version"]) == 0
    assert capsys.readouterr().out == "keras_lopt 0.1.0\n"


def test_help_and_status_need_no_other_library(tmp_path):
    """-S: without the libraries of this Python."""
    (tmp_path / "experiment.json").write_text('{"rule": {"type": "A"}}')
    for argv in (["--help"], ["train", "--help"], ["status", tmp_path]):
        result = subprocess.run(
            [sys.executable, "-S", "-m", "keras_lopt", *argv],
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr


def test_without_the_trainers_libraries_the_extra_is_named():
    result = subprocess.run(
        [sys.executable, "-S", "-m", "keras_lopt", "evaluate"]
        + ["--gin_file=x", "--run_dir=x", "--out_dir=x"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("keras-lopt evaluate: Training, evaluation")
    assert result.stderr.endswith("pip install 'keras_lopt[train]'\n")


NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written
I0000 00:00:1795959764.719417   32455 port.cc:153] oneDNN custom operations
E0000 00:00:1795959794.104861   32455 cuda_platform.cc:52] failed call
2026-01-01 10:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:1
"""


def test_only_noise_is_dropped_from_standard_error():
    program = (
        "import os\n"
        "from keras_lopt import quiet\n"
        "with quiet.without_noise():\n"
        f"    os.write(2, {NOISE.encode()!r} + b'a warning of somebody\\n')\n"
        "os.write(2, b'after\\n')\n"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True
    )
    assert result.stderr == "a warning of somebody\nafter\n"


def test_the_users_own_settings_stay(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("MPLBACKEND", "svg")
    start.set_up()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert os.environ["MPLBACKEND"] == "svg"


@pytest.mark.parametrize(
    "text, expected",
    [
        (None, True),
        ('{"task": {"type": "worker", "index": 0}}', True),
        ('{"task": {"type": "worker", "index": 1}}', False),
        ("{", True),
        ("[]", True),
    ],
)
def test_of_several_workers_one_speaks(monkeypatch, text, expected):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    assert start._is_chief() == expected


def test_a_lost_worker_ends_the_process_at_once(monkeypatch, capsys):
    def lost(*arguments):
        raise ConnectionError("Worker 1 has ended")

    def end(code):
        raise SystemExit(f"at once: {code}")

    monkeypatch.setattr(config, "call", lost)
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(SystemExit, match="at once: 2"):
        commands.main(["train", "--gin_file=tiny.gin", "--out_dir=unused"])
    assert capsys.readouterr().err == "keras-lopt train: Worker 1 has ended\n"


def test_evaluate_takes_a_suite_where_one_is_bound(monkeypatch):
    called = []
    monkeypatch.setattr(config, "call", lambda f, *args: called.append(f))
    for name in ("evaluate_honest.gin", "evaluate_standard.gin"):
        flags = [f"--gin_file={name}", "--run_dir=x", "--out_dir=x"]
        assert commands.main(["evaluate", *flags]) == 0
    assert called == [evaluation.run, evaluation.run_suite]


def test_the_optimizer_is_imported_without_a_word():
    program = "from keras_lopt import LearnedOptimizer"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=pathlib.Path(commands.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("", "")

"""bin/train_population.py: one clear message, exit code 2, nothing written."""

import subprocess
import sys

import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver

from tests import binaries

BINARY = binaries.BIN / "train_population.py"


@pytest.fixture(scope="module")
def binary():
    """The script as a module; its flags are defined once."""
    with binaries.loaded("train_population") as module:
        yield module


@pytest.fixture
def refusal(binary, tmp_path, capsys):
    """Callable: flags -> the error message.

    Checks that it is one line, and that nothing below `tmp_path` changes.
    """

    def contents():
        return {
            path: path.is_file() and path.read_bytes()
            for path in tmp_path.rglob("*")
        }

    def call(*arguments, out_dir=None):
        out_dir = out_dir or tmp_path / "run"
        before = contents()
        with flagsaver.flagsaver():
            flags.FLAGS(
                ["train_population", f"--out_dir={out_dir}", *arguments]
            )
            with pytest.raises(SystemExit) as caught:
                binary.main(["train_population"])
        assert caught.value.code == 2
        assert contents() == before
        error = capsys.readouterr().err
        assert error.startswith("train_population: ")
        assert error.count("\n") == 1 and error.endswith("\n")
        return error

    return call


TINY = "--gin_file=tiny.gin"
BAD = {
    "missing file": (["--gin_file=tyni.gin"], "'tyni.gin'"),
    "unknown parameter": (
        [TINY, "--gin=training.Schedule.populaton=3"],
        "parameter named 'populaton'",
    ),
    "unknown rule": (
        [TINY, "--gin=training.Experiment.rule=@rules.NoSuch()"],
        "'@rules.NoSuch()'",
    ),
    "unknown task": (
        [TINY, "--gin=training.Experiment.task=@tasks.no_such"],
        "'@tasks.no_such'",
    ),
    "unknown selection": (
        [TINY, "--gin=training.Experiment.selection=@population.NoSuch()"],
        "'@population.NoSuch()'",
    ),
    "rule of a macro": (
        [TINY, "--gin=RULE = @rules.NoRule()"],
        "@rules.NoRule",
    ),
    "task of a macro": (
        [TINY, "--gin=TASK = @tasks.no_such"],
        "@tasks.no_such",
    ),
    "unknown strategy": ([TINY, "--strategy=cpus"], "strategy='cpus'"),
    "unknown resume": ([TINY, "--resume=bad"], "resume='bad'"),
    "no GPU": ([TINY, "--strategy=gpu"], '"gpu" needs a GPU'),
    "no members": (
        [TINY, "--gin=training.Schedule.population=0"],
        "population=0",
    ),
    "odd quarters": (
        [TINY, "--gin=training.Schedule.population=6"],
        "population=6",
    ),
    "odd quarters of six": (
        [
            *(TINY, "--gin=training.Schedule.population=6"),
            "--gin=population.Elitist.fraction=0.25",
        ],
        "population=6, fraction=0.25, which is 1.5 members",
    ),
    "bad fraction": (
        [TINY, "--gin=population.Elitist.fraction='0.25'"],
        "fraction='0.25'",
    ),
    "no noise": ([TINY, "--gin=estimators.PES.sigma=0.0"], "sigma=0.0"),
    "negative noise": ([TINY, "--gin=estimators.PES.sigma=-1"], "sigma=-1"),
    "infinite noise": (
        [TINY, "--gin=estimators.PES.sigma=1e999"],
        "sigma=inf",
    ),
    "noise that is not a number": (
        [TINY, "--gin=estimators.PES.sigma=nan"],
        "Received: Failed to parse token 'nan' (line 1)",
    ),
    "bad clip": ([TINY, "--gin=estimators.PES.clip='0.1'"], "clip='0.1'"),
    "bad seed": ([TINY, "--gin=training.run.seed=-1"], "seed=-1"),
    "bad seconds": ([TINY, "--gin=training.run.seconds='9'"], "seconds='9'"),
    "bad widths": ([TINY, "--gin=tasks.digits_mlp.hidden=32"], "hidden=32"),
    "experiment that is called": (
        [TINY, "--gin=training.run.experiment=@training.Experiment()"],
        "write `@training.Experiment`, no call",
    ),
    "no experiment": (
        [TINY, "--gin=training.run.experiment='mine'"],
        "`experiment` must be a function of `seed`",
    ),
    "no pairs": ([TINY, "--gin=estimators.PES.pairs=0"], "pairs=0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message(refusal, case):
    arguments, message = BAD[case]
    assert message in refusal(*arguments)


NOT_OBJECTS = ["rule", "task", "estimator", "schedule", "teachers"]


@pytest.mark.parametrize("name", [*NOT_OBJECTS, "selection", "mutation"])
def test_a_name_is_no_object(refusal, name):
    error = refusal(TINY, f"--gin=training.Experiment.{name}='mine'")
    assert f"`{name}` must be" in error
    assert "'mine'" in error


def test_a_fragment_is_no_experiment(refusal):
    with pytest.warns(UserWarning, match="Macro RULE is set but never used"):
        error = refusal("--gin_file=rules/fused.gin")
    assert "'experiment' and 'generations'" in error


@pytest.mark.parametrize(
    "line", ["training.Experiment.rule=(", "TASK=%NOWHERE"]
)
def test_a_line_that_gin_cannot_parse(refusal, line):
    refusal(TINY, f"--gin={line}")


@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("TPU")), reason="There is a TPU."
)
def test_the_tpu_strategy_needs_a_tpu(refusal):
    error = refusal(TINY, "--strategy=tpu")
    assert "needs a TPU. Received: " in error
    assert error.endswith("; use strategy='cpu'\n")


@pytest.mark.parametrize("below", ["", "sub/run"])
@pytest.mark.parametrize("resume", ["auto", "never"])
def test_out_dir_must_not_be_a_file(refusal, tmp_path, below, resume):
    (tmp_path / "file").write_text("mine")
    error = refusal(
        TINY, f"--resume={resume}", out_dir=tmp_path / "file" / below
    )
    assert "`out_dir` must be a folder" in error
    assert f"where '{tmp_path / 'file'}' is a file" in error


def test_out_dir_must_not_be_empty(refusal):
    error = refusal(TINY, "--out_dir=")
    assert "`out_dir` must be a folder" in error
    assert error.endswith("Received: out_dir=''\n")


@pytest.mark.parametrize("content", ['{"seed": 9}', "[1]", "{", ""])
def test_refuses_the_out_dir_of_another_experiment(refusal, tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_text(content)
    error = refusal(TINY)
    assert "has the state of another experiment: ['rule', 'task', " in error
    assert "Nothing was written" in error


TASKS = """
import keras
import numpy as np
from keras_lopt import tasks

def model_fn():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

def task(loss, *splits):
    ranges = {split: (2 * i, 2) for i, split in enumerate(splits)}
    inputs, targets = np.zeros([8, 3], np.float32), np.arange(8) % 2
    dataset = tasks.Dataset("mine", inputs, targets, 2, ranges)
    return tasks.Task("mine", model_fn, loss, dataset, 2)

def vector_loss():
    loss = "sparse_categorical_crossentropy"
    return task(loss, "train", "inner_valid", "outer_valid")

def no_scores():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return task(loss, "train", "test")

def nothing():
    return None
"""


@pytest.mark.parametrize(
    "name, message",
    [
        ("vector_loss", "`loss` of task 'mine' must be a scalar for a batch."),
        ("no_scores", "must have 'train', 'inner_valid' (for scores)"),
        (
            "nothing",
            "or a function without arguments that returns one",
        ),
    ],
)
def test_checks_the_users_own_task(
    refusal, tmp_path, monkeypatch, name, message
):
    (tmp_path / "bad_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mine.gin").write_text(
        "from __gin__ import dynamic_registration\n"
        "import bad_tasks\n"
        "from keras_lopt import training\n"
        'include "tiny.gin"\n'
        f"training.Experiment.task = @bad_tasks.{name}\n"
    )
    assert message in refusal(f"--gin_file={tmp_path / 'mine.gin'}")


def test_a_misspelled_macro_is_warned_of_beside_the_error(refusal):
    with pytest.warns(UserWarning, match="Macro TSAK is set but never used"):
        refusal(
            *(TINY, "--gin=TSAK = @rules.FusedRule()"),
            "--gin=training.Schedule.population=0",
        )


def test_the_program_ends_with_one_message(tmp_path):
    result = subprocess.run(
        [
            *(sys.executable, BINARY, TINY, f"--out_dir={tmp_path / 'run'}"),
            "--gin=training.Experiment.rule=@rules.NoSuch()",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if line]
    (message,) = [li for li in lines if li.startswith("train_population: ")]
    assert "No configurable matching reference '@rules.NoSuch()'" in message
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([TINY], "--out_dir must have a value"),
        (["--out_dir=x"], "--gin_file says what to do"),
        ([TINY, "--out_dir=x", "more"], "Unknown arguments: ['more']"),
    ],
)
def test_wrong_usage_is_explained(binary, arguments, message):
    with flagsaver.flagsaver():
        with pytest.raises((flags.Error, binary.app.UsageError)) as caught:
            rest = flags.FLAGS(["train_population", *arguments])
            binary.main(rest)
    assert message in str(caught.value)

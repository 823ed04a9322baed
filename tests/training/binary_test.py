"""keras-lopt train: one clear message, exit code 2, nothing written."""

import subprocess
import sys

import pytest
import tensorflow as tf

from keras_lopt import commands
from keras_lopt.tasks import tfds_data
from tests import binaries

BINARY = binaries.BIN / "train_population.py"


@pytest.fixture
def refusal(tmp_path, capsys, monkeypatch):
    """Callable: flags -> the error message.

    Checks that it is one line, and that nothing below `tmp_path` changes.
    """

    # Folders of gin files are added to it.
    monkeypatch.setattr(sys, "path", list(sys.path))

    def contents():
        return {
            path: path.is_file() and path.read_bytes()
            for path in tmp_path.rglob("*")
        }

    def call(*arguments, out_dir=None):
        out_dir = out_dir or tmp_path / "run"
        before = contents()
        status = commands.main(["train", f"--out_dir={out_dir}", *arguments])
        assert status == 2
        assert contents() == before
        error = capsys.readouterr().err
        assert error.startswith("keras-lopt train: ")
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
    (message,) = [li for li in lines if li.startswith("keras-lopt train: ")]
    assert "No configurable matching reference '@rules.NoSuch()'" in message
    assert "Traceback" not in result.stderr
    assert result.stdout == "starting TensorFlow ...\n"
    # Of TensorFlow itself nothing is said.
    assert len(lines) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([TINY], "the following arguments are required: --out_dir"),
        (["--out_dir=x"], "are required: --gin_file"),
        ([TINY, "--out_dir=x", "more"], "unrecognized arguments: more"),
    ],
)
def test_wrong_usage_is_explained(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main(["train", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_module_beside_the_gin_file_needs_no_path(refusal, tmp_path):
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "tasks_beside.py").write_text(TASKS)
    (folder / "mine.gin").write_text(
        "from __gin__ import dynamic_registration\n"
        "import tasks_beside\n"
        "from keras_lopt import training\n"
        'include "tiny.gin"\n'
        "training.Experiment.task = @tasks_beside.no_scores\n"
    )
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    error = refusal(f"--gin_file={folder / 'mine.gin'}")
    sys.dont_write_bytecode = before
    assert "must have 'train', 'inner_valid'" in error


def test_flags_and_bindings_say_where_data_is(refusal, tmp_path, monkeypatch):
    found = []

    def builder(name):
        found.append((tfds_data._settings.data_dir, name))
        raise OSError("no such data")

    monkeypatch.setattr(tfds_data, "_settings", tfds_data.Settings())
    monkeypatch.setattr(tfds_data, "_builder", builder)
    monkeypatch.setattr(tfds_data, "_nearest_builder", lambda name: "")
    (tmp_path / "images.gin").write_text(
        "from __gin__ import dynamic_registration\n"
        "from keras_lopt import tasks\n"
        "from keras_lopt import training\n"
        'include "tiny.gin"\n'
        "training.Experiment.task = @tasks.get\n"
        "tasks.get.name = 'conv_fc'\n"
        "tasks.get.data = 'tfds:mnist@8'\n"
        "tasks.tfds_data.configure.data_dir = '/bound'\n"
    )
    file = f"--gin_file={tmp_path / 'images.gin'}"
    assert "'tfds:mnist'" in refusal(file)
    refusal(file, "--data_dir=/flag")
    assert found == [("/bound", "mnist"), ("/flag", "mnist")]

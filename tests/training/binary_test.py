"""bin/train_population.py: one clear message, exit code 2, nothing written."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from absl import flags
from absl.testing import flagsaver

BIN = pathlib.Path(__file__).parents[2] / "bin"
BINARY = BIN / "train_population.py"


@pytest.fixture(scope="module")
def binary():
    """The script as a module; its flags are defined once."""
    spec = importlib.util.spec_from_file_location("train_population", BINARY)
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    sys.path.insert(0, str(BIN))  # As where the script is started.
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


@pytest.fixture
def refusal(binary, tmp_path, capsys):
    """Callable from flags to what is said; checks that all else is well."""

    def call(*arguments):
        out_dir = tmp_path / "run"
        with flagsaver.flagsaver():
            flags.FLAGS(
                ["train_population", f"--out_dir={out_dir}", *arguments]
            )
            with pytest.raises(SystemExit) as caught:
                binary.main(["train_population"])
        assert caught.value.code == 2
        assert not out_dir.exists()
        error = capsys.readouterr().err
        assert error.startswith("train_population: ")
        assert "Traceback" not in error
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
        [TINY, "--gin=training.run.rule=@rules.NoSuch()"],
        "'@rules.NoSuch()'",
    ),
    "unknown task": (
        [TINY, "--gin=training.run.task=@tasks.no_such"],
        "'@tasks.no_such'",
    ),
    "unknown selection": (
        [TINY, "--gin=training.run.selection=@population.NoSuch()"],
        "'@population.NoSuch()'",
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
    "no noise": ([TINY, "--gin=estimators.PES.sigma=0.0"], "sigma=0.0"),
    "no pairs": ([TINY, "--gin=estimators.PES.pairs=0"], "pairs=0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(refusal, case):
    arguments, message = BAD[case]
    assert message in refusal(*arguments)


NOT_OBJECTS = ["rule", "task", "estimator", "schedule", "trainers"]


@pytest.mark.parametrize("name", [*NOT_OBJECTS, "selection", "mutation"])
def test_a_name_where_an_object_must_be(refusal, name):
    error = refusal(TINY, f"--gin=training.run.{name}='mine'")
    assert f"`{name}` must be" in error
    assert "'mine'" in error


def test_a_fragment_is_no_experiment(refusal):
    with pytest.warns(UserWarning, match="Macro RULE is set but never used"):
        error = refusal("--gin_file=rules/fused.gin")
    assert "'task', 'rule', 'estimator', and 'generations'" in error


@pytest.mark.parametrize("line", ["training.run.rule=(", "TASK=%NOWHERE"])
def test_a_line_that_means_nothing(refusal, line):
    refusal(TINY, f"--gin={line}")


def test_as_a_program(tmp_path):
    result = subprocess.run(
        [
            *(sys.executable, BINARY, TINY, f"--out_dir={tmp_path / 'run'}"),
            "--gin=training.run.rule=@rules.NoSuch()",
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
def test_usage(binary, arguments, message):
    with flagsaver.flagsaver():
        with pytest.raises((flags.Error, binary.app.UsageError)) as caught:
            rest = flags.FLAGS(["train_population", *arguments])
            binary.main(rest)
    assert message in str(caught.value)

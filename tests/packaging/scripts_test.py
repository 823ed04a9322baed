"""bin/quickstart, bin/test and .ci/run, with a stand-in for python3."""

import pathlib
import stat
import subprocess
import sys

import pytest

EXECUTABLES = ["bin/quickstart", "bin/test", ".ci/run", ".ci/run_docs"]
BIN = pathlib.Path(__file__).resolve().parents[2] / "bin"
SCRIPTS = sorted(path.name for path in BIN.glob("[a-z]*.py"))


@pytest.mark.parametrize("script", [*EXECUTABLES, "bin/_env.sh"])
def test_bash_can_parse(script, repository):
    subprocess.run(["bash", "-n", repository / script], check=True)


@pytest.mark.parametrize("script", EXECUTABLES)
def test_is_executable(script, repository):
    assert (repository / script).stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_needs_no_python_and_makes_nothing(clone, flag):
    (clone.tools / "python3").unlink()
    result = clone.run("bin/quickstart", flag)
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: bin/quickstart [--out_dir DIR]")
    assert not clone.venv.exists()


@pytest.mark.parametrize(
    "args, message",
    [
        (["--sede=1"], "no such argument. Received: --sede=1"),
        (["here"], "no such argument. Received: here"),
        ([""], "no such argument. Received: "),
        (["--seed"], "--seed must be followed by a value."),
        (["--seed", "-1"], "--seed must be an integer from 0 to"),
        (["--seed=1.5"], "Received: --seed=1.5"),
        (["--seed", ""], "Received: --seed="),
        (["--seed=12345678901"], "Received: --seed=12345678901"),
        (["--out_dir"], "--out_dir must be followed by a value."),
        (["--out_dir="], "--out_dir must name a directory."),
    ],
)
def test_quickstart_refuses(clone, args, message):
    result = clone.run("bin/quickstart", *args)
    assert result.returncode == 2
    assert result.stderr.startswith("quickstart: ")
    assert message in result.stderr
    assert "\nUsage: bin/quickstart" in result.stderr
    assert not clone.venv.exists()


@pytest.mark.parametrize(
    "args, seed",
    [
        ([], []),
        (["--seed", "7"], [" --seed=7"]),
        (["--seed=007"], [" --seed=7"]),
    ],
)
def test_quickstart_calls_the_command(clone, tmp_path, args, seed):
    result = clone.run("bin/quickstart", *args, cwd=tmp_path)
    out_dir = clone.root / "runs" / "quickstart"
    assert result.returncode == 0, result.stderr
    assert clone.ran()[-1] == (
        f"-m keras_lopt quickstart --out_dir={out_dir}{''.join(seed)}"
    )


def test_quickstart_fails_with_the_command(clone):
    result = clone.run("bin/quickstart", FAKE_REFUSE="keras_lopt")
    assert result.returncode == 3


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_starts_in_the_environment_where_libraries_miss(clone, name):
    """As `bin/train_population.py` with a python3 that has no TensorFlow."""
    result = subprocess.run(
        # -S: without the libraries of this Python.
        [sys.executable, "-S", clone.root / "bin" / name, "--help"],
        env={"PATH": str(clone.tools), "FAKE_LOG": str(clone.log)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "Installing the pinned packages" in result.stdout
    assert clone.ran()[-1] == f"{clone.root}/bin/{name} --help"


def test_test_lints_then_runs_all_tests(clone, tmp_path):
    assert clone.run("bin/test", cwd=tmp_path).returncode == 0
    assert clone.ran()[1:] == [
        "-m ruff check",
        "-m ruff format --check",
        "-m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder",
    ]


def test_test_passes_arguments_on_and_does_not_lint(clone):
    assert clone.run("bin/test", "-k", "a b", "tests/rules").returncode == 0
    assert clone.ran()[1:] == ["-m pytest -k a b tests/rules"]


@pytest.mark.parametrize("tool", ["ruff", "pytest"])
def test_test_fails_with_its_tools(clone, tool):
    assert clone.run("bin/test", FAKE_REFUSE=tool).returncode == 3


def test_ci_runs_the_test_command(clone, tmp_path):
    result = clone.run(".ci/run", cwd=tmp_path, CI="true")
    assert result.returncode == 0
    assert "+ exec bin/test" in result.stderr
    assert clone.ran()[-1].startswith("-m pytest ")

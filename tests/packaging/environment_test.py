"""bin/_env.sh: when it installs, when it does not, and what it refuses."""

import os
import pathlib
import subprocess
import sys

import pytest


def test_environment_is_installed_once(clone):
    first, second = clone.run("bin/test"), clone.run("bin/test")
    assert "Installing the pinned packages" in first.stdout
    assert second.stdout == ""
    (pip,) = [line for line in clone.ran() if line.startswith("-m pip")]
    assert f"--constraint {clone.root}/constraints.txt" in pip
    assert pip.endswith(f"--editable {clone.root}[train,test]")


@pytest.mark.parametrize("change", ["setup.py", "constraints.txt", "python"])
def test_environment_is_installed_again_after_a_change(clone, change):
    clone.run("bin/test")
    assert clone.installed()
    variables = {}
    if change == "python":
        variables = {"FAKE_VERSION": "3.12.1"}
    else:
        with (clone.root / change).open("a") as file:
            file.write("# changed\n")
    clone.run("bin/test", **variables)
    assert clone.installed()


def test_environment_is_installed_again_for_another_clone(clone, tmp_path):
    venv = str(tmp_path / "shared")
    clone.run("bin/test", KERAS_LOPT_VENV=venv)
    assert clone.installed()
    clone.root = clone.root.rename(tmp_path / "moved")
    clone.run("bin/test", KERAS_LOPT_VENV=venv)
    assert clone.installed()


def test_interrupted_installation_is_done_again(clone):
    failed = clone.run("bin/test", FAKE_REFUSE="pip")
    assert failed.returncode == 1
    assert "test: Installing failed; pip says why above." in failed.stderr
    assert not any(line.startswith("-m pytest") for line in clone.ran())
    assert clone.run("bin/test").returncode == 0
    assert clone.installed()


def test_environment_in_another_directory(clone, tmp_path):
    result = clone.run("bin/test", cwd=tmp_path, KERAS_LOPT_VENV="elsewhere")
    assert result.returncode == 0
    assert (tmp_path / "elsewhere" / "keras_lopt.stamp").is_file()
    assert not clone.venv.exists()


def test_environment_spares_a_directory_of_other_things(clone, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    venv = str(tmp_path / "photos")
    result = clone.run("bin/test", KERAS_LOPT_VENV=venv)
    assert result.returncode == 1
    assert f"Received: KERAS_LOPT_VENV={venv}" in result.stderr
    assert os.listdir(venv) == ["cat.jpg"]


@pytest.mark.parametrize(
    "refuse, message",
    [
        ("old", "python3 must be 3.10 or newer. Received: Python 3.8.1."),
        ("venv", "python3 must have the venv module"),
    ],
)
def test_unfit_python3(clone, refuse, message):
    result = clone.run("bin/test", FAKE_REFUSE=refuse, FAKE_VERSION="3.8.1")
    assert result.returncode == 1
    assert message in result.stderr
    assert not clone.venv.exists()


def test_no_python3(clone):
    (clone.tools / "python3").unlink()
    result = clone.run("bin/test")
    assert result.returncode == 1
    assert "PATH has no python3" in result.stderr


def test_version_check_holds_for_this_python(repository):
    """The stand-in answers the check itself; here is the real question."""
    program = "source bin/_env.sh && check_python3 && echo fit"
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", program],
        cwd=repository,
        env={"PATH": path},
        capture_output=True,
        text=True,
    )
    assert result.stdout == "fit\n", result.stderr

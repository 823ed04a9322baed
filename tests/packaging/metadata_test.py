"""setup.py, the pins, and the files around them agree with each other."""

import re
import runpy
import subprocess
import sys

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import keras_lopt

PYTHONS = ["3.10", "3.11", "3.12"]


@pytest.fixture
def setup_arguments(repository, monkeypatch):
    """Keyword arguments of setuptools.setup in setup.py."""
    calls = []
    monkeypatch.setattr(
        setuptools, "setup", lambda **kwargs: calls.append(kwargs)
    )
    monkeypatch.chdir(repository)
    runpy.run_path("setup.py")
    return calls[0]


@pytest.fixture(scope="module")
def constraints(repository):
    """The pins, as requirements."""
    text = (repository / "constraints.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def pins_for(constraints, python):
    """Dict of name -> version that is pinned for one version of Python."""
    pins = {}
    for pin in constraints:
        if pin.marker is None or pin.marker.evaluate(
            {"python_version": python}
        ):
            name = canonicalize_name(pin.name)
            if name in pins:
                raise ValueError(f"{name} is pinned twice for Python {python}.")
            (specifier,) = pin.specifier
            pins[name] = specifier.version
    return pins


def test_version_is_the_packages(setup_arguments):
    assert setup_arguments["version"] == keras_lopt.__version__
    assert setup_arguments["name"] == "keras_lopt"


def test_license_is_apache_2(setup_arguments, repository):
    text = (repository / "LICENSE").read_text(encoding="utf-8")
    assert setup_arguments["license"] == "Apache-2.0"
    assert setup_arguments["license_files"] == ["LICENSE"]
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text


def test_extras(setup_arguments):
    assert set(setup_arguments["extras_require"]) == {
        "gs",
        "hub",
        "import",
        "jax",
        "test",
        "torch",
    }
    assert setup_arguments["python_requires"] == ">=3.10"


def test_constraints_are_exact(constraints):
    inexact = [
        str(pin)
        for pin in constraints
        if [s.operator for s in pin.specifier] != ["=="] or pin.extras
    ]
    assert inexact == []


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_lie_in_the_ranges(python, setup_arguments, constraints):
    pins = pins_for(constraints, python)
    wanted = map(
        Requirement,
        setup_arguments["install_requires"]
        + setup_arguments["extras_require"]["test"],
    )
    outside = [
        str(requirement)
        for requirement in wanted
        if pins.get(canonicalize_name(requirement.name), "none")
        not in requirement.specifier
    ]
    assert outside == []


def test_pre_commit_uses_the_pinned_ruff(repository, constraints):
    config = (repository / ".pre-commit-config.yaml").read_text("utf-8")
    versions = set(re.findall(r"ruff==([\d.]+)", config))
    assert versions == {pins_for(constraints, "3.11")["ruff"]}


def test_workflow_pins_actions_by_hash(repository):
    used = [
        line.partition("uses:")[2].split()[0]
        for path in (repository / ".github" / "workflows").glob("*.yml")
        for line in path.read_text("utf-8").splitlines()
        if "uses:" in line
    ]
    assert used
    assert [u for u in used if not re.fullmatch(r"\S+@[0-9a-f]{40}", u)] == []


def test_build_has_the_bundled_files_and_every_module(
    repository, package_sources, tmp_path
):
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base"]
    command += [tmp_path, "build", "--build-base", tmp_path / "build"]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    library = tmp_path / "build" / "lib"
    patterns = (
        "checkpoints/bundled/*.safetensors",
        "checkpoints/bundled/*.md",
        "evaluation/baselines/*.npz",
    )
    bundled = [
        path.relative_to(repository).as_posix()
        for pattern in patterns
        for path in repository.glob(f"keras_lopt/{pattern}")
    ]
    missing = [
        path
        for path in [*package_sources, *bundled]
        if not (library / path).is_file()
    ]
    assert missing == []

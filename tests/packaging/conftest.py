"""What the packaging tests share: parsed sources, and a clone to run in."""

import ast
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

CLONED = [
    ".ci/run",
    "bin/_env.sh",
    "bin/quickstart",
    "bin/test",
    "constraints.txt",
    "setup.py",
]
TOOLS = ["bash", "cat", "dirname", "env", "ls", "rm"]  # all that they need

# A stand-in for python3: it makes environments that hold itself, logs what it
# is asked to run, one line each, and fails where FAKE_REFUSE names that.
PYTHON3 = f"""#!{shutil.which("bash")}
refuse() {{ [[ " $FAKE_REFUSE " == *" $1 "* ]] && exit 3; }}
case "$1 $2" in
  "-c import sys;"*) refuse old; exit 0 ;;
  "-c import ensurepip"*) refuse venv; exit 0 ;;
  "--version ") echo "Python ${{FAKE_VERSION:-3.11.7}}" ;;
  "-m venv")
    {shutil.which("mkdir")} -p "$3/bin"
    : >"$3/pyvenv.cfg"
    {shutil.which("cp")} "$0" "$3/bin/python" ;;
  *)
    printf '%s\\n' "$*" >>"$FAKE_LOG"
    refuse "$1"; refuse "$2"; exit 0 ;;
esac
"""


@pytest.fixture(scope="session")
def repository():
    """Path of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def package_sources():
    """Dict of path (`keras_lopt/rules/base.py`) -> text of each module."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "keras_lopt").rglob("*.py"))
    }


@pytest.fixture(scope="session")
def package_trees(package_sources):
    """Dict of path -> syntax tree of each module of the package."""
    return {
        path: ast.parse(source, filename=path)
        for path, source in package_sources.items()
    }


class Clone:
    """A copy of the scripts, with the stand-in for python3 on PATH."""

    def __init__(self, folder):
        self.root = folder / "a clone"  # the space is part of the tests
        self.venv = self.root / ".venv"
        self.log = folder / "log"
        self.tools = folder / "tools"
        scripts = (ROOT / "bin").glob("*.py")
        for name in [*CLONED, *(f"bin/{path.name}" for path in scripts)]:
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        self.tools.mkdir()
        for tool in TOOLS:
            (self.tools / tool).symlink_to(shutil.which(tool))
        python3 = self.tools / "python3"
        python3.write_text(PYTHON3)
        python3.chmod(0o755)

    def run(self, script, *args, cwd=None, **variables):
        """Result of a script; `variables` are added to its environment."""
        return subprocess.run(
            [self.root / script, *args],
            cwd=cwd or self.root,
            env={"PATH": str(self.tools), "FAKE_LOG": str(self.log)}
            | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def ran(self):
        """What the stand-in was asked to run since the last call."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def installed(self):
        """Whether packages were installed since the last call."""
        return any(line.startswith("-m pip install") for line in self.ran())


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)

"""The scripts of bin/, for tests of their messages."""

import contextlib
import importlib.util
import pathlib
import sys

from absl import flags

BIN = pathlib.Path(__file__).parents[1] / "bin"


@contextlib.contextmanager
def loaded(name):
    """Context whose value is bin/`name`.py as a module.

    Its flags go when the context ends: those of one script are nothing to
    another.
    """
    spec = importlib.util.spec_from_file_location(name, BIN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    path, before = list(sys.path), set(flags.FLAGS)
    sys.path.insert(0, str(BIN))  # As where the script is started.
    try:
        spec.loader.exec_module(module)
        sys.path[:] = path
        yield module
    finally:
        sys.path[:] = path
        sys.modules.pop("_package", None)
        for flag in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, flag)

"""Runs programs on JAX and PyTorch, each in its own process.

KERAS_LOPT_PYTHON_JAX and KERAS_LOPT_PYTHON_TORCH may name other interpreters
that have the backend.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def interpreter(backend):
    """Path of a Python that has `backend`, or None."""
    named = os.environ.get(f"KERAS_LOPT_PYTHON_{backend.upper()}")
    if named:
        return named
    return sys.executable if importlib.util.find_spec(backend) else None


def run(backend, program, *arguments):
    """Runs a program on `backend`, with the import of TensorFlow blocked."""
    python = interpreter(backend)
    if python is None:
        pytest.skip(f"{backend} is not installed")
    blocked = "import sys; sys.modules['tensorflow'] = None\n"
    subprocess.run(
        [python, "-W", "error::UserWarning", "-c", blocked + program]
        + list(arguments),
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )

"""Programs for JAX and PyTorch, in a process of their own.

Where another interpreter has the backend, KERAS_LOPT_PYTHON_JAX or
KERAS_LOPT_PYTHON_TORCH names it.
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
    """Runs a program on `backend`, with TensorFlow out of reach."""
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

"""Rules, optimizers and optimizer files import TensorFlow in one place only."""

import ast
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]
PACKAGE = ROOT / "keras_lopt"
#: Imported only on the TensorFlow backend.
TENSORFLOW_SIDE = PACKAGE / "optimizers" / "backends" / "tensorflow.py"
MODULES = sorted(
    {
        path
        for folder in ("rules", "checkpoints", "optimizers")
        for path in (PACKAGE / folder).rglob("*.py")
    }
    | {PACKAGE / "__init__.py"}
)
ON_JAX = """
import sys
sys.modules["tensorflow"] = None  # Importing it raises ImportError.
import numpy as np
import keras
from keras_lopt import LearnedOptimizer, checkpoints, rules
rule = rules.get("fused")
checkpoints.save(sys.argv[1], rule, rule.init_theta(0))
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
optimizer = LearnedOptimizer.from_checkpoint(sys.argv[1])
model.compile(optimizer, loss="mse")
model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
assert int(optimizer.iterations) == 1
"""


def imported_modules(path):
    """Yields (name, whether it is inside an `if`) for each import of a file."""
    tree = ast.parse(path.read_text())
    guarded = {
        node
        for outer in ast.walk(tree)
        if isinstance(outer, ast.If)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            continue
        for name in names:
            yield name, node in guarded


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_only_the_tensorflow_backend_imports_tensorflow(path):
    for name, is_guarded in imported_modules(path):
        if path != TENSORFLOW_SIDE:
            assert name.split(".")[0] != "tensorflow"
        if name == "keras_lopt.optimizers.backends.tensorflow":
            assert is_guarded


@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)
def test_training_works_on_jax_with_tensorflow_blocked(tmp_path):
    subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path / "one.safetensors")],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
    )

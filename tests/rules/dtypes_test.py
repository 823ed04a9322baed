"""Rules and optimizers say of what dtype their constants are.

Otherwise constants take `keras.config.floatx()`, or numbers the default of
their backend, and float32 rules meet float64 or float16.
"""

import ast
import pathlib

import pytest

import keras_lopt

PACKAGE = pathlib.Path(keras_lopt.__file__).parent
MODULES = sorted(
    path
    for folder in ("rules", "optimizers")
    for path in (PACKAGE / folder).rglob("*.py")
)
#: Function of `keras.ops` -> place of `dtype` among its arguments.
MAKERS = {
    "arange": 3,
    "array": 1,
    "cast": 1,
    "convert_to_tensor": 1,
    "empty": 1,
    "eye": 3,
    "full": 2,
    "identity": 1,
    "linspace": 5,
    "logspace": 5,
    "one_hot": 3,
    "ones": 1,
    "tri": 3,
    "zeros": 1,
}


def unnamed(source):
    """Lines that make a tensor without naming its dtype."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _is_maker(node.func)
        and not any(keyword.arg == "dtype" for keyword in node.keywords)
        and len(node.args) <= MAKERS.get(node.func.attr, 100)
    ]


def _is_maker(function):
    owner = ast.unparse(function.value)
    if owner in ("keras.random", "random"):
        return True
    return owner in ("ops", "keras.ops") and function.attr in MAKERS


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_every_constant_names_its_dtype(path):
    assert unnamed(path.read_text()) == []


def test_the_test_sees_what_it_should():
    source = """
ops.zeros((2,))
ops.zeros((2,), "float32")
ops.ones((2,), dtype="float32")
keras.random.normal((2,))
keras.ops.convert_to_tensor(1.0)
ops.zeros_like(x)
"""
    assert unnamed(source) == [2, 5, 6]

"""Source that no file of the package or of bin/ may contain."""

import ast

import pytest

UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "marshal"}
UNSAFE_CALLS = {"eval", "exec"}


def offences(tree):
    """Forbidden constructs of a syntax tree, as `line N: what` in order."""
    found = []
    for node in ast.walk(tree):
        what = _offence(node)
        if what:
            found.append((node.lineno, what))
    return [f"line {line}: {what}" for line, what in sorted(found)]


def _offence(node):
    if isinstance(node, ast.Assert):
        return "assert"
    if isinstance(node, ast.Import):
        return _unsafe_module(*[alias.name for alias in node.names])
    if isinstance(node, ast.ImportFrom):
        return _unsafe_module(node.module or "")
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            return f"{node.func.id}()"
        if any(_allows_pickle(keyword) for keyword in node.keywords):
            return "allow_pickle"
    return None


def _unsafe_module(*names):
    unsafe = {name.partition(".")[0] for name in names} & UNSAFE_MODULES
    return f"import {', '.join(sorted(unsafe))}" if unsafe else None


def _allows_pickle(keyword):
    is_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
    return keyword.arg == "allow_pickle" and not is_off


@pytest.mark.parametrize(
    "source, expected",
    [
        ("assert x, 'y'", ["line 1: assert"]),
        ("x = 1\nimport os, pickle", ["line 2: import pickle"]),
        ("from cloudpickle import dumps", ["line 1: import cloudpickle"]),
        ("eval('1')\nexec('1')", ["line 1: eval()", "line 2: exec()"]),
        ("np.load(f, allow_pickle=True)", ["line 1: allow_pickle"]),
        ("np.load(f, allow_pickle=flag)", ["line 1: allow_pickle"]),
        ("np.load(f, allow_pickle=False)", []),
        ("model.eval()\nraise ValueError('assert eval(')", []),
    ],
)
def test_offences_are_found_with_their_lines(source, expected):
    assert offences(ast.parse(source)) == expected


def test_package_and_binaries_have_no_offence(package_trees, repository):
    trees = dict(package_trees)
    for path in sorted((repository / "bin").glob("*.py")):
        trees[f"bin/{path.name}"] = ast.parse(path.read_text(encoding="utf-8"))
    found = {path: offences(tree) for path, tree in trees.items()}
    assert {path: what for path, what in found.items() if what} == {}


def test_modules_have_docstrings(package_trees):
    bare = [
        path
        for path, tree in package_trees.items()
        if not ast.get_docstring(tree)
    ]
    assert bare == []


def test_sub_packages_have_an_init(package_sources, repository):
    folders = {
        (repository / path).parent.relative_to(repository).as_posix()
        for path in package_sources
    }
    missing = [f for f in folders if f"{f}/__init__.py" not in package_sources]
    assert missing == []

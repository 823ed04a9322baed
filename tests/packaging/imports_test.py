"""Which sub-package may import which, read from the syntax trees."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

import keras_lopt

# Sub-package (or top-level module) -> what it may import of the package.
ALLOWED = {
    "__init__": {"optimizers", "quiet", "registration"},
    "__main__": {"commands"},
    "commands": {  # when they run
        "checkpoints",
        "checks",
        "config",
        "estimators",
        "extras",
        "keras_lopt",
        "quiet",
        "rules",
        "run_texts",
        "tasks",
        "training",
    },
    "config": {"checks", "extras"},
    "extras": set(),
    "run_texts": set(),
    "quiet": set(),
    "pictures": set(),  # of a run's callbacks and of evaluations
    "registration": {"optimizers", "quiet"},  # when Keras is there
    "checks": set(),  # for every part that has settings
    "rules": {"checks"},
    "checkpoints": {"checks", "rules"},
    "optimizers": {"checks", "rules", "checkpoints"},
    "tasks": {"checks", "extras", "rules"},  # Training a rule is a task.
    "estimators": {"checks", "extras", "rules", "tasks"},
    # A fixed teacher is a rule and its theta.
    "population": {"checks", "rules"},
    "training": {
        "checkpoints",
        "checks",
        "config",
        "estimators",
        "extras",
        "optimizers",
        "pictures",
        "population",
        "rules",
        "run_texts",
        "tasks",
    },
    "evaluation": {
        "checkpoints",
        "checks",
        "config",
        "estimators",  # Meta-training is measured.
        "extras",
        "optimizers",
        "pictures",
        "population",
        "rules",
        "run_texts",
        "tasks",
        "training",
    },
}
# No TensorFlow: these work on every backend, or on none.
ALLOWED_THIRD_PARTY = {
    "checks": set(),
    "rules": {"keras", "numpy"},
    "checkpoints": {"keras", "numpy", "safetensors"},
    "population": {"numpy"},
}
# Imported on first use only: these need not be installed.
OPTIONAL = {
    "checkpoints": {
        "fsspec",
        "gcsfs",
        "huggingface_hub",
        "msgpack",
        "tensorflow",
        "torch",
    },
}


def imported_names(tree, package):
    """Dotted names that a module imports, at any depth.

    Args:
        tree: Syntax tree of the module.
        package: Dotted name of the package it lies in, for relative imports.

    Returns:
        Set of names; `from a.b import c` gives `a.b.c`.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                parents = package.split(".")
                base = parents[: len(parents) - node.level + 1] + base
            names.update(".".join([*base, a.name]) for a in node.names)
        elif _is_import_module(node):
            names.add(node.args[0].value)
    return names


def _is_import_module(node):
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("import_module")
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def arrows(tree, package):
    """Sub-packages that a module of `package` imports, its own left out."""
    targets = set()
    for name in imported_names(tree, package):
        top, *rest = name.split(".")
        if top != "keras_lopt":
            continue
        target = rest[0] if rest else "keras_lopt"
        target = "optimizers" if target == "LearnedOptimizer" else target
        if not target.startswith("__"):  # __version__
            targets.add(target)
    return targets - {package.partition(".")[2].partition(".")[0]}


def third_party(tree, package):
    """Top-level names outside the standard library that a module imports."""
    tops = {name.partition(".")[0] for name in imported_names(tree, package)}
    return tops - set(sys.stdlib_module_names) - {"keras_lopt"}


def module_arrows(trees, group=lambda module: module):
    """Which module imports which, as a graph.

    Args:
        trees: Dict of path -> syntax tree.
        group: Function of a dotted name to the name of its node, to see
            several modules as one.

    Returns:
        Dict of node -> set of the nodes that it imports.
    """
    names = {module_of(path): path for path in trees}
    graph = {}
    for module, path in names.items():
        package = package_of(path)
        targets = set()
        for name in imported_names(trees[path], package):
            # `from a.b import c` imports the module a.b.c, or c of a.b.
            found = [n for n in (name, *_parents(name)) if n in names]
            targets.update(found[:1])
        graph.setdefault(group(module), set()).update(map(group, targets))
    for node, targets in graph.items():
        targets.discard(node)
    return graph


def _parents(name):
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]


def circle(graph):
    """The nodes of a circle in a graph, the first one also last; or []."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def module_of(path):
    """`keras_lopt/rules/base.py` -> `keras_lopt.rules.base`."""
    parts = pathlib.PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def folder_of(module):
    """`keras_lopt.training.devices.strategy` -> `keras_lopt.training.devices`.

    Modules that lie directly in a sub-package stay as they are.
    """
    return ".".join(module.split(".")[:3])


def package_of(path):
    """`keras_lopt/rules/base.py` -> `keras_lopt.rules`."""
    return ".".join(pathlib.PurePosixPath(path).parent.parts)


def part_of(path):
    """`keras_lopt/rules/base.py` -> `rules`; keras_lopt/config.py -> config."""
    return pathlib.PurePosixPath(path).with_suffix("").parts[1]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import keras_lopt.tasks.mlp", {"tasks"}),
        ("import keras_lopt", {"keras_lopt"}),
        ("from keras_lopt import tasks, __version__", {"tasks"}),
        ("from keras_lopt import LearnedOptimizer", {"optimizers"}),
        ("from keras_lopt.rules.base import Rule", set()),
        ("from . import base", set()),
        ("from .. import tasks", {"tasks"}),
        ("from ..tasks.mlp import digits_mlp", {"tasks"}),
        ("def f():\n    from keras_lopt import training", {"training"}),
        ("importlib.import_module('keras_lopt.training')", {"training"}),
        ("import keras, numpy.linalg", set()),
    ],
)
def test_arrows_of_one_module_in_rules(source, expected):
    assert arrows(ast.parse(source), "keras_lopt.rules") == expected


def test_third_party_of_one_module():
    tree = ast.parse("import os, tensorflow as tf\nfrom keras import ops")
    assert third_party(tree, "keras_lopt.rules") == {"tensorflow", "keras"}


def test_every_part_of_the_package_has_its_arrows(package_trees):
    assert {part_of(path) for path in package_trees} <= set(ALLOWED)


def test_only_the_allowed_arrows(package_trees):
    forbidden = {
        path: found
        for path, tree in package_trees.items()
        if (found := arrows(tree, package_of(path)) - ALLOWED[part_of(path)])
    }
    assert forbidden == {}


def test_a_circle_is_found():
    sources = {
        "keras_lopt/tasks/__init__.py": "from keras_lopt.tasks import base",
        "keras_lopt/tasks/base.py": "from keras_lopt.tasks.data.read import f",
        "keras_lopt/tasks/data/__init__.py": "",
        "keras_lopt/tasks/data/read.py": "import keras",
        "keras_lopt/tasks/data/write.py": "from keras_lopt.tasks import base",
    }
    trees = {path: ast.parse(text) for path, text in sources.items()}
    assert circle(module_arrows(trees)) == []
    # The folder imports the module, and the module imports the folder.
    folders = {"keras_lopt.tasks.base", "keras_lopt.tasks.data"}
    assert set(circle(module_arrows(trees, folder_of))) == folders
    read = "keras_lopt/tasks/data/read.py"
    trees[read] = ast.parse("from keras_lopt.tasks.data.write import g")
    assert circle(module_arrows(trees))


def test_no_module_imports_itself_in_a_circle(package_trees):
    assert circle(module_arrows(package_trees)) == []


def test_folders_of_training_import_in_one_direction(package_trees):
    """devices/ and output/ each count as one module."""
    graph = module_arrows(package_trees, folder_of)
    training = {
        node: {target for target in targets if "training." in target}
        for node, targets in graph.items()
        if node.startswith("keras_lopt.training.")
    }
    assert {"devices", "output"} < {name.split(".")[2] for name in training}
    assert circle(training) == []


@pytest.mark.parametrize("part", ALLOWED_THIRD_PARTY)
def test_third_party_imports(part, package_trees):
    forbidden = {
        path: found
        for path, tree in package_trees.items()
        if part_of(path) == part
        and (
            found := third_party(tree, package_of(path))
            - ALLOWED_THIRD_PARTY[part]
            - OPTIONAL.get(part, set())
        )
    }
    assert forbidden == {}


def test_only_config_imports_gin(package_trees):
    importers = [
        path
        for path, tree in package_trees.items()
        if "gin" in third_party(tree, package_of(path))
    ]
    assert importers == ["keras_lopt/config.py"]


@pytest.mark.parametrize("name", keras_lopt.__all__)
def test_public_name_loads(name):
    assert getattr(keras_lopt, name).__doc__
    assert name in dir(keras_lopt)


def test_unknown_public_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="has no attribute 'rulez'.*rules"):
        _ = keras_lopt.rulez


@pytest.mark.parametrize("part", OPTIONAL)
def test_optional_libraries_are_imported_by_optional_py(part, package_trees):
    for path, tree in package_trees.items():
        if part_of(path) == part:
            statements = [
                ast.unparse(node)
                for node in ast.walk(tree)
                if isinstance(node, (ast.Import, ast.ImportFrom))
            ]
            for name in OPTIONAL[part]:
                assert f"import {name}" not in statements, path


def test_importing_the_package_loads_only_what_registers_the_optimizer():
    """On other backends, tests/conformance imports it without TensorFlow."""
    program = (
        "import sys, keras_lopt\n"
        "loaded = {n for n in sys.modules if n.startswith('keras_lopt.')}\n"
        "print({'gin'} & set(sys.modules))\n"
        "print([n for n in ('tasks', 'training', 'evaluation')\n"
        "       if f'keras_lopt.{n}' in loaded])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=pathlib.Path(keras_lopt.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "set()\n[]\n"

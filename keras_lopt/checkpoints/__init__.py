"""Optimizer files: theta and its rule, as safetensors.

`save(path, rule, theta, metadata)` writes a file and `load(path)` returns
`rule, theta, metadata`; `to_bytes` makes what `save` writes. `load` also
imports weights from other libraries, and
`convert(source, path)` saves imported weights as an optimizer file.
`import_theta(rule, leaves)` imports weights that are already in memory.
`bundled_names()` lists the files that ship with this package.
"""

from keras_lopt.checkpoints.errors import CheckpointError, MissingLibraryError
from keras_lopt.checkpoints.files import convert, load, save, to_bytes
from keras_lopt.checkpoints.importers import import_theta
from keras_lopt.checkpoints.locations import bundled_names
from keras_lopt.checkpoints.rule_specs import (
    check_rule_and_theta,
    rule_from_spec,
    rule_spec,
)

__all__ = [
    "CheckpointError",
    "MissingLibraryError",
    "bundled_names",
    "check_rule_and_theta",
    "convert",
    "import_theta",
    "load",
    "rule_from_spec",
    "rule_spec",
    "save",
    "to_bytes",
]

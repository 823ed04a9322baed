"""Optimizer files: theta and its rule, as safetensors.

`save(path, rule, theta, metadata)` writes a file and `load(path)` returns
`rule, theta, metadata`; `to_bytes` makes what `save` writes. `load` also
imports weights from other libraries, and
`convert(source, path)` saves imported weights as an optimizer file.
`import_theta(rule, leaves)` imports weights that are already in memory.
`names()` lists the files that ship with this package, and `describe(name)`
says what one of them is.
"""

from keras_lopt.checkpoints.errors import CheckpointError, MissingLibraryError
from keras_lopt.checkpoints.files import (
    convert,
    describe,
    load,
    save,
    theta_from_bytes,
    theta_sha256,
    theta_to_bytes,
    to_bytes,
)
from keras_lopt.checkpoints.importers import import_theta
from keras_lopt.checkpoints.locations import bundled_names, names
from keras_lopt.checkpoints.remote import is_remote
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
    "describe",
    "import_theta",
    "is_remote",
    "load",
    "names",
    "rule_from_spec",
    "rule_spec",
    "save",
    "theta_from_bytes",
    "theta_sha256",
    "theta_to_bytes",
    "to_bytes",
]

"""Optimizer files: theta and its rule, as safetensors.

`save(path, rule, theta, metadata)` writes one, `load(path)` gives back
`rule, theta, metadata`; it reads weights that others published, too, and
`convert(sources, path)` makes optimizer files of them. `import_theta(rule,
leaves)` is the step in between. `bundled_names()` lists the files of this
package.
"""

from keras_lopt.checkpoints.conversion import convert
from keras_lopt.checkpoints.errors import CheckpointError, MissingLibraryError
from keras_lopt.checkpoints.files import load, save
from keras_lopt.checkpoints.locations import bundled_names
from keras_lopt.checkpoints.published import import_theta
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
]

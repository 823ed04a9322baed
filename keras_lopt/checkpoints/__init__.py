"""Optimizer files: theta and its rule, as safetensors.

`save(path, rule, theta, metadata)` writes one, `load(path)` gives back
`rule, theta, metadata`. `bundled_names()` lists the files of this package.
`import_theta(rule, leaves)` makes a theta of weights that others published.
"""

from keras_lopt.checkpoints.errors import CheckpointError
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
    "bundled_names",
    "check_rule_and_theta",
    "import_theta",
    "load",
    "rule_from_spec",
    "rule_spec",
    "save",
]

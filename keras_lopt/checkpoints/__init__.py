"""Optimizer files: theta and its rule, as safetensors.

`save(path, rule, theta, metadata)` writes one, `load(path)` gives back
`rule, theta, metadata`. `bundled_names()` lists the files of this package.
"""

from keras_lopt.checkpoints.errors import CheckpointError
from keras_lopt.checkpoints.files import load, save
from keras_lopt.checkpoints.locations import bundled_names
from keras_lopt.checkpoints.rule_specs import (
    check_rule_and_theta,
    rule_from_spec,
    rule_spec,
)

__all__ = [
    "CheckpointError",
    "bundled_names",
    "check_rule_and_theta",
    "load",
    "rule_from_spec",
    "rule_spec",
    "save",
]

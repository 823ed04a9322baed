"""Weights of other libraries: reading their files, naming their leaves.

Nothing is unpickled: flax msgpack and safetensors are plain data, and torch
reads its files with `weights_only=True`.
"""

from keras_lopt.checkpoints.foreign.formats import Weights, read
from keras_lopt.checkpoints.foreign.rule_choice import choose_rule

__all__ = ["Weights", "choose_rule", "read"]

"""Imported weights: files of other libraries as a rule and its theta.

formats.py recognizes and reads a file; flax_msgpack.py, plain_safetensors.py
and torch_state.py do it for one format each, and pylo.py translates PyLO's
names. rule_choice.py finds the rule, theta.py makes its theta, and
gin_config.py reads a config.gin beside the weights. load.py runs them in order.

Nothing is unpickled: flax msgpack and safetensors files are plain data, and
torch reads its files with `weights_only=True`.
"""

from keras_lopt.checkpoints.importers.load import load_imported
from keras_lopt.checkpoints.importers.theta import import_theta

__all__ = ["import_theta", "load_imported"]

"""Rules with an LSTM over the tensors that steers MLPs over their entries.

hierarchical.py is one such rule. velo.py and celo.py share hypernetwork.py.
"""

from keras_lopt.rules.hierarchical.celo import CeloRule
from keras_lopt.rules.hierarchical.hierarchical import HierarchicalRule
from keras_lopt.rules.hierarchical.velo import VeLORule

__all__ = ["CeloRule", "HierarchicalRule", "VeLORule"]

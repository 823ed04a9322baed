"""Update rules: pure functions from gradients and history to updates.

A rule is written once, in `keras.ops`, and called both by the Keras optimizer
and by the meta-trainer. `rules.get(name, **config)` builds one,
`rules.names()` lists what there is.
"""

from keras_lopt.rules.adafac_mlp import AdafacMLPRule
from keras_lopt.rules.adam import AdamRule
from keras_lopt.rules.antisymmetric import AntisymmetricRule
from keras_lopt.rules.base import PerTensorRule, Rule, ShapedTensorRule
from keras_lopt.rules.celo import CeloRule
from keras_lopt.rules.celo2 import Celo2Rule
from keras_lopt.rules.fused import FusedRule
from keras_lopt.rules.hierarchical import HierarchicalRule
from keras_lopt.rules.mlp import MLPRule
from keras_lopt.rules.nadamw import NAdamWRule
from keras_lopt.rules.registry import get, names, register
from keras_lopt.rules.scale_free import ScaleFreeRule
from keras_lopt.rules.sgd import SGDRule
from keras_lopt.rules.sgdm import SGDMRule
from keras_lopt.rules.theta_vector import ThetaVector
from keras_lopt.rules.velo import VeLORule

__all__ = [
    "AdafacMLPRule",
    "AdamRule",
    "AntisymmetricRule",
    "Celo2Rule",
    "CeloRule",
    "FusedRule",
    "HierarchicalRule",
    "MLPRule",
    "NAdamWRule",
    "PerTensorRule",
    "Rule",
    "SGDMRule",
    "SGDRule",
    "ScaleFreeRule",
    "ShapedTensorRule",
    "ThetaVector",
    "VeLORule",
    "get",
    "names",
    "register",
]

"""Update rules: pure functions from gradients and history to updates.

A rule is written once, in `keras.ops`. The Keras optimizer and the meta-trainer
both call it. `rules.get(name, **config)` builds a rule, and `rules.names()`
lists them. To add one, subclass `Rule`, `PerTensorRule` or `ShapedTensorRule`
and decorate it with `rules.register(name)`.

base.py is the contract. Every algorithm has a file: here, or in hierarchical/
if it has an LSTM over the tensors. Their parts are in networks/ and memory/.
"""

from keras_lopt.rules.adafac_mlp import AdafacMLPRule
from keras_lopt.rules.adam import AdamRule
from keras_lopt.rules.antisymmetric import AntisymmetricRule
from keras_lopt.rules.base import PerTensorRule, Rule, ShapedTensorRule
from keras_lopt.rules.celo2 import Celo2Rule
from keras_lopt.rules.fused import FusedRule
from keras_lopt.rules.hierarchical import (
    CeloRule,
    HierarchicalRule,
    VeLORule,
)
from keras_lopt.rules.mlp import MLPRule
from keras_lopt.rules.nadamw import NAdamWRule
from keras_lopt.rules.registry import (
    check_not_inherited,
    get,
    hyperparameters,
    names,
    register,
)
from keras_lopt.rules.scale_free import ScaleFreeRule
from keras_lopt.rules.sgd import SGDRule
from keras_lopt.rules.sgdm import SGDMRule
from keras_lopt.rules.theta_vector import ThetaVector

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
    "check_not_inherited",
    "get",
    "hyperparameters",
    "names",
    "register",
]

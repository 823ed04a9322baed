"""Update rules: pure functions from gradients and history to updates.

A rule is written once, in `keras.ops`, and called both by the Keras optimizer
and by the meta-trainer. `rules.get(name, **config)` builds one,
`rules.names()` lists what there is.
"""

from keras_lopt.rules.adam import AdamRule
from keras_lopt.rules.base import PerTensorRule, Rule
from keras_lopt.rules.fused import FusedRule
from keras_lopt.rules.registry import get, names, register
from keras_lopt.rules.theta_vector import ThetaVector

__all__ = [
    "AdamRule",
    "FusedRule",
    "PerTensorRule",
    "Rule",
    "ThetaVector",
    "get",
    "names",
    "register",
]

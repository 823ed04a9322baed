"""Update rules: pure functions from gradients and history to updates.

A rule is written once, in `keras.ops`, and called both by the Keras optimizer
and by the meta-trainer. `rules.get(name, **config)` builds one,
`rules.names()` lists what there is.
"""

from keras_lopt.rules.adam import AdamRule
from keras_lopt.rules.base import PerTensorRule, Rule
from keras_lopt.rules.fused import FusedRule
from keras_lopt.rules.registry import get, names, register

__all__ = [
    "AdamRule",
    "FusedRule",
    "PerTensorRule",
    "Rule",
    "get",
    "names",
    "register",
]

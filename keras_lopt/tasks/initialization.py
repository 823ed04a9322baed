"""Fresh initial values of a Keras model inside a compiled program.

Keras initializers take an integer or a `SeedGenerator`. One whose `next`
returns a tensor makes them pure functions of a seed.
"""

import keras
import tensorflow as tf

#: Name of the state variable of a `keras.random.SeedGenerator` (dropout).
SEED_STATE = "seed_generator_state"


class TensorSeed(keras.random.SeedGenerator):
    """A seed generator without a variable: counts up from a seed tensor."""

    def __init__(self, seed):
        # Not the base constructor: it would create a variable.
        self._tensor = seed
        self._count = 0

    def next(self, ordered=True):
        del ordered
        self._count += 1
        return tf.random.experimental.stateless_fold_in(
            self._tensor, self._count
        )


def initializers(model):
    """Dict from variable path to the Keras initializer that made it.

    Raises:
        ValueError: A variable whose layer does not say how it is initialised.
    """
    found = {}
    for layer in model._flatten_layers():
        # What the layer itself owns; `layer.weights` has its sublayers' too.
        own = layer._trainable_variables + layer._non_trainable_variables
        for variable in own:
            initializer = getattr(layer, f"{variable.name}_initializer", None)
            if initializer is None:
                raise ValueError(
                    f"Layer {layer.name!r} must have an attribute "
                    f"`{variable.name}_initializer` for its weight "
                    f"{variable.path!r}, so that every problem can start from "
                    "fresh values. Received: none"
                )
            found[variable.path] = keras.initializers.get(initializer)
    return found


def fresh_value(initializer, variable, seed):
    """The value that `initializer` gives `variable` for a seed tensor [2]."""
    if hasattr(initializer, "seed"):
        config = dict(initializer.get_config(), seed=0)
        initializer = initializer.__class__.from_config(config)
        initializer.seed = TensorSeed(seed)
    value = initializer(variable.shape, dtype=variable.dtype)
    return tf.convert_to_tensor(value)

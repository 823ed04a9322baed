"""Fresh initial values of a Keras model inside a compiled program.

Keras initializers take an integer or a `SeedGenerator`. One whose `next`
returns a tensor makes them pure functions of a seed.

A layer says how its weight `x` begins by its attribute `x_initializer`. What
Keras's own layers do otherwise is in `_ALIASES`, `_UNSAID`, `UnitForgetBias`
and `_with_axes`.
"""

import collections
import contextlib
import copy
import math
from unittest import mock

import keras
import tensorflow as tf
from keras import layers, ops

#: Name of the state variable of a `keras.random.SeedGenerator` (dropout).
SEED_STATE = "seed_generator_state"

#: Weight -> whose initializer it has (depthwise convolutions, tied embeddings).
#: `recurrent_kernel` etc. have `recurrent_initializer`, by a rule.
_ALIASES = {"kernel": "depthwise", "reverse_embeddings": "embeddings"}

#: What no attribute says: class and weight -> initializer. The first counts.
_UNSAID = (
    (layers.AdditiveAttention, "scale", "glorot_uniform"),
    (layers.Attention, "scale", "ones"),
    (layers.Attention, "concat_score_weight", "ones"),
    (layers.RMSNormalization, "scale", "ones"),
    (
        layers.SpectralNormalization,
        "vector_u",
        {"class_name": "TruncatedNormal", "config": {"stddev": 0.02}},
    ),
)


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


class UnitForgetBias(keras.initializers.Initializer):
    """An LSTM's bias: ones for the forget gate, as in `LSTMCell.build`.

    Args:
        other: Initializer of the other three gates' biases.
        seed: As for Keras's random initializers.
    """

    def __init__(self, other, seed=None):
        self.other = other
        self.seed = seed

    def __call__(self, shape, dtype=None):
        units = shape[0] // 4
        other = self.other
        if self.seed is not None:
            other = _seeded(other, self.seed)
        parts = [
            other((units,), dtype=dtype),
            ops.ones((units,), dtype=dtype),
            other((2 * units,), dtype=dtype),
        ]
        return ops.concatenate(parts)


@keras.saving.register_keras_serializable(package="keras_lopt")
class LogUniform(keras.initializers.Initializer):
    """Log-uniform numbers.

    Args:
        low, high: Range, above 0.
        seed: As for Keras's random initializers.
    """

    def __init__(self, low, high, seed=None):
        self.low, self.high, self.seed = low, high, seed

    def __call__(self, shape, dtype=None):
        exponent = keras.random.uniform(
            shape,
            math.log(self.low),
            math.log(self.high),
            dtype=dtype,
            seed=self.seed,
        )
        return ops.exp(exponent)

    def get_config(self):
        return {"low": self.low, "high": self.high, "seed": self.seed}


@contextlib.contextmanager
def recorded():
    """Context whose value gets what `add_weight` is told in it.

    Models of layers that do not keep their initializers are made in it.

    Yields:
        Dict from id of a variable to its Keras initializer.
    """
    said = {}
    add_weight = layers.Layer.add_weight

    def recording(layer, *args, **kwargs):
        variable = add_weight(layer, *args, **kwargs)
        initializer = args[1] if len(args) > 1 else kwargs.get("initializer")
        if initializer is None:  # Keras's default.
            is_float = "float" in variable.dtype
            initializer = "glorot_uniform" if is_float else "zeros"
        said[id(variable)] = keras.initializers.get(initializer)
        return variable

    with mock.patch.object(layers.Layer, "add_weight", recording):
        yield said


def initializers(model, said=()):
    """How the weights of a model begin.

    Args:
        model: A built Keras model.
        said: From `recorded`: of the weights of which no layer says it.

    Returns:
        Dict from id of a variable to its Keras initializer; states of seed
        generators are left out.

    Raises:
        ValueError: A variable whose layer does not say how it is initialised.
    """
    owners = collections.defaultdict(list)
    for layer in model._flatten_layers():
        # What the layer itself has; `layer.weights` has its sublayers' too.
        own = layer._trainable_variables + layer._non_trainable_variables
        for variable in own:
            owners[id(variable)].append(layer)
    variables = model.trainable_variables + model.non_trainable_variables
    return {
        id(variable): _initializer(
            owners[id(variable)] or [model], variable, dict(said)
        )
        for variable in variables
        if variable.name != SEED_STATE
    }


def _initializer(owners, variable, said):
    """What one of the layers that have `variable` says."""
    for layer in owners:  # A wrapper may have its layer's kernel as well.
        initializer = _said(layer, variable.name) or _unsaid(layer, variable)
        if initializer is not None:
            return initializer
    if id(variable) in said:
        return said[id(variable)]
    attribute = f"{variable.name}_initializer"
    raise ValueError(
        f"Layer {owners[0].name!r} must have an attribute `{attribute}` for "
        f"its weight {variable.path!r}, so that every problem can start from "
        f"fresh values. Received: none; set `self.{attribute} = "
        'keras.initializers.get("glorot_uniform")` or another in its '
        "constructor and give it to `add_weight`"
    )


def _said(layer, weight):
    """The initializer of a weight by its layer's attributes, or None."""
    stems = (weight, weight.removesuffix("_kernel"), _ALIASES.get(weight))
    said = (getattr(layer, f"{stem}_initializer", None) for stem in stems)
    initializer = next((i for i in said if i is not None), None)
    initializer = keras.initializers.get(initializer)
    if weight == "bias" and getattr(layer, "unit_forget_bias", False):
        return UnitForgetBias(initializer)
    if weight == "kernel" and isinstance(layer, layers.EinsumDense):
        return _with_axes(initializer, layer.equation)
    return initializer


def _with_axes(initializer, equation):
    """As `EinsumDense.build`: fans by the equation, not by the shape."""
    axes = (
        getattr(initializer, "input_axes", ()),
        getattr(initializer, "output_axes", ()),
    )
    if None not in axes:  # Scaled by no fan, or by fans that were set.
        return initializer
    _, kernel, outputs = equation.replace("->", ",").split(",")
    initializer = copy.copy(initializer)
    positions = range(len(kernel))
    initializer.input_axes = [i for i in positions if kernel[i] not in outputs]
    initializer.output_axes = [i for i in positions if kernel[i] in outputs]
    return initializer


def _unsaid(layer, variable):
    """The initializer that only the code of a Keras layer has, or None."""
    if isinstance(layer, layers.Normalization):
        # Statistics that `adapt` found: the same for all problems.
        return keras.initializers.Constant(variable.numpy())
    for kind, weight, initializer in _UNSAID:
        if isinstance(layer, kind) and variable.name == weight:
            return keras.initializers.get(initializer)
    return None


def fresh_value(initializer, variable, seed):
    """The value that `initializer` gives `variable` for a seed tensor [2]."""
    initializer = _seeded(initializer, TensorSeed(seed))
    value = initializer(variable.shape, dtype=variable.dtype)
    return tf.convert_to_tensor(value)


def _seeded(initializer, generator):
    """`initializer` with its random numbers from `generator`."""
    if hasattr(initializer, "seed"):
        initializer = copy.copy(initializer)
        initializer.seed = generator
    return initializer

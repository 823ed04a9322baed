"""Fresh initial values for a Keras model inside a compiled program.

Keras initializers take an integer or a `SeedGenerator` as their seed. With a
generator whose `next` returns a tensor they are pure functions of a seed.

The initializer of a layer's weight `x` is the layer's attribute
`x_initializer`. Exceptions in Keras's own layers are handled by `_ALIASES`,
`_WITHOUT_ATTRIBUTE`, `UnitForgetBias` and `_with_axes`.
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

#: Weight -> weight whose initializer it shares (depthwise convolutions, tied
#: embeddings). `recurrent_kernel` and the like drop "_kernel".
_ALIASES = {"kernel": "depthwise", "reverse_embeddings": "embeddings"}

#: (class, weight, initializer) of Keras's weights whose initializer is in no
#: attribute. The first match counts.
_WITHOUT_ATTRIBUTE = (
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
    """A seed generator without a variable, which counts up from a tensor."""

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
    """The bias of an LSTM: ones for the forget gate, as in `LSTMCell.build`.

    Args:
        other: Initializer for the biases of the other three gates.
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
        low, high: Range of the numbers; both positive.
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
    """Context that records the initializers that `add_weight` is called with.

    Build a model in it whose layers do not keep their initializers.

    Yields:
        Dict from the id of a variable to its Keras initializer.
    """
    known = {}
    add_weight = layers.Layer.add_weight

    def recording(layer, *args, **kwargs):
        variable = add_weight(layer, *args, **kwargs)
        initializer = args[1] if len(args) > 1 else kwargs.get("initializer")
        if initializer is None:  # Keras's default.
            is_float = "float" in variable.dtype
            initializer = "glorot_uniform" if is_float else "zeros"
        known[id(variable)] = keras.initializers.get(initializer)
        return variable

    with mock.patch.object(layers.Layer, "add_weight", recording):
        yield known


def initializers(model, known=()):
    """The initializers of a model's weights.

    Args:
        model: A built Keras model.
        known: From `recorded`, for weights whose layers have no attribute with
            the initializer.

    Returns:
        Dict from the id of a variable to its Keras initializer. The states of
        seed generators are left out.

    Raises:
        ValueError: The initializer of a variable is not known.
    """
    owners = collections.defaultdict(list)
    for layer in model._flatten_layers():
        # The layer's own; `layer.weights` includes those of its sublayers.
        own = layer._trainable_variables + layer._non_trainable_variables
        for variable in own:
            owners[id(variable)].append(layer)
    variables = model.trainable_variables + model.non_trainable_variables
    return {
        id(variable): _initializer(
            owners[id(variable)] or [model], variable, dict(known)
        )
        for variable in variables
        if variable.name != SEED_STATE
    }


def _initializer(owners, variable, known):
    """The initializer of `variable`, by one of the layers that own it."""
    for layer in owners:  # A wrapper may own the kernel of its layer as well.
        initializer = _by_attribute(layer, variable.name)
        initializer = initializer or _without_attribute(layer, variable)
        if initializer is not None:
            return initializer
    if id(variable) in known:
        return known[id(variable)]
    attribute = f"{variable.name}_initializer"
    raise ValueError(
        f"Layer {owners[0].name!r} must have an attribute `{attribute}` for "
        f"its weight {variable.path!r}, so that every problem can start from "
        f"fresh values. Received: none; set `self.{attribute} = "
        'keras.initializers.get("glorot_uniform")` or another in its '
        "constructor and give it to `add_weight`"
    )


def _by_attribute(layer, weight):
    """The initializer of a weight by its layer's attributes, or None."""
    stems = (weight, weight.removesuffix("_kernel"), _ALIASES.get(weight))
    found = (getattr(layer, f"{stem}_initializer", None) for stem in stems)
    initializer = next((i for i in found if i is not None), None)
    initializer = keras.initializers.get(initializer)
    if weight == "bias" and getattr(layer, "unit_forget_bias", False):
        return UnitForgetBias(initializer)
    if weight == "kernel" and isinstance(layer, layers.EinsumDense):
        return _with_axes(initializer, layer.equation)
    return initializer


def _with_axes(initializer, equation):
    """As in `EinsumDense.build`: the equation gives the fans, not the shape."""
    axes = (
        getattr(initializer, "input_axes", ()),
        getattr(initializer, "output_axes", ()),
    )
    if None not in axes:  # No scaling by fans, or by fans that were set.
        return initializer
    _, kernel, outputs = equation.replace("->", ",").split(",")
    initializer = copy.copy(initializer)
    positions = range(len(kernel))
    initializer.input_axes = [i for i in positions if kernel[i] not in outputs]
    initializer.output_axes = [i for i in positions if kernel[i] in outputs]
    return initializer


def _without_attribute(layer, variable):
    """The initializer that is only in the code of a Keras layer, or None."""
    if isinstance(layer, layers.Normalization):
        # Statistics from `adapt`, the same for all problems.
        return keras.initializers.Constant(variable.numpy())
    for kind, weight, initializer in _WITHOUT_ATTRIBUTE:
        if isinstance(layer, kind) and variable.name == weight:
            return keras.initializers.get(initializer)
    return None


def fresh_value(initializer, variable, seed):
    """The initial value of `variable` for a seed tensor [2]."""
    initializer = _seeded(initializer, TensorSeed(seed))
    value = initializer(variable.shape, dtype=variable.dtype)
    return tf.convert_to_tensor(value)


def _seeded(initializer, generator):
    """A copy of `initializer` that draws its numbers from `generator`."""
    if hasattr(initializer, "seed"):
        initializer = copy.copy(initializer)
        initializer.seed = generator
    return initializer

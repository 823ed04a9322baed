"""The variables of an optimizer: checks, precision, and the slots."""

import difflib

import keras
import numpy as np
from keras import ops

# Checks.


def check_trainable(variable):
    """Raises ValueError if no rule can train the variable."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            "`variables` must be real floating point. "
            f"Received: {_name(variable)!r} with dtype={dtype}"
        )
    if 0 in tuple(variable.shape):
        raise ValueError(
            "`variables` must have at least one entry each. Received: "
            f"{_name(variable)!r} with shape={tuple(variable.shape)}"
        )


def check_gradients(grads, variables):
    """Raises ValueError unless every gradient fits its variable.

    Gradients may be None, and so may `variables` as long as they are unknown.
    Without this check, a cast would drop the imaginary part of a complex
    gradient, and a rule that flattens tensors would accept a transposed one.
    """
    if variables is None:
        return
    if len(grads) != len(variables):
        raise ValueError(
            "`grads` must have one gradient per trainable variable. Received: "
            f"{len(grads)} gradients and {len(variables)} variables"
        )
    for grad, variable in zip(grads, variables):
        if not _is_real(grad):
            raise ValueError(
                "`grads` must be real floating point. Received: a gradient "
                f"with dtype={keras.backend.standardize_dtype(grad.dtype)} "
                f"for {_name(variable)!r}"
            )
        if not _fits(grad, tuple(variable.shape)):
            raise ValueError(
                "`grads` must have the shapes of their variables. Received: a "
                f"gradient of shape {tuple(grad.shape)} for {_name(variable)!r}"
                f" of shape {tuple(variable.shape)}"
            )


def check_state(optimizer, variables, values):
    """Raises ValueError unless saved values have their variables' shapes."""
    for variable, value in zip(variables, values):
        if tuple(variable.shape) != tuple(value.shape):
            raise ValueError(
                f"The saved state does not fit optimizer {optimizer!r}: "
                f"{variable.path} must have shape {tuple(variable.shape)}. "
                f"Received: shape={tuple(value.shape)}. It was saved with "
                "another rule or model."
            )


def differences(variables, values):
    """Which variables saved values lack, and which values they have no use for.

    Args:
        variables: List of variables.
        values: List of arrays, in the order of the variables that they were
            saved from.

    Returns:
        A sentence; "" if all shapes agree.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    found = [tuple(np.shape(value)) for value in values]
    missing, unexpected = [], []
    matcher = difflib.SequenceMatcher(None, shapes, found, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            missing += [f"{v.path} {tuple(v.shape)}" for v in variables[i:j]]
            unexpected += [f"number {n} {found[n]}" for n in range(k, m)]
    if not missing and not unexpected:
        return ""
    return (
        f"It must have {len(shapes)} variables. Received: {len(found)}, "
        f"missing={missing}, unexpected={unexpected}"
    )


def _is_real(grad):
    """Whether a gradient is None or has a real floating point dtype."""
    if not hasattr(grad, "dtype"):
        return True
    dtype = keras.backend.standardize_dtype(grad.dtype)
    return keras.backend.is_float_dtype(dtype)


def _fits(grad, shape):
    """Whether a gradient has this shape, as far as tracing knows it."""
    known = getattr(grad, "shape", None)
    if known is None or getattr(known, "rank", 0) is None:
        return True
    return len(known) == len(shape) and all(
        size in (None, expected) for size, expected in zip(known, shape)
    )


def _name(variable):
    return getattr(variable, "path", variable.name)


# Precision: rules compute in float32, variables keep their dtype.


def float32(value):
    """`value`, a variable or tensor, as a float32 tensor."""
    return ops.cast(own_value(value), "float32")


def own_value(variable):
    """A variable, tensor or number as a tensor; its dtype stays."""
    # Named, because Keras casts variables for the layer that is being called.
    dtype = getattr(variable, "dtype", "float32")
    return ops.convert_to_tensor(variable, dtype=dtype)


def added(variable, change):
    """`variable` plus a float32 `change`, in the dtype of `variable`.

    A float16 sum is clipped to the largest finite number.
    """
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if dtype != "float16":
        return own_value(variable) + ops.cast(change, dtype)
    largest = float(np.finfo("float16").max)
    total = ops.clip(float32(variable) + change, -largest, largest)
    return ops.cast(total, dtype)


# Slots.


class SlotVariables:
    """A rule's slots as variables, in the same nested dicts and lists.

    They are in an object, because Keras and TensorFlow wrap dicts and lists
    that are attributes of an optimizer, and the rule must get back its own.

    Args:
        tree: Nested dict/list of Keras variables.
    """

    def __init__(self, tree):
        self.tree = tree

    @classmethod
    def create(cls, slots, add_variable):
        """Creates variables with the initial values `slots`.

        Args:
            slots: Nested dict/list of tensors.
            add_variable: Callable from value and name to variable.
        """
        variables = [
            add_variable(leaf, "_".join(["slot", *map(str, path)]))
            for path, leaf in keras.tree.flatten_with_path(slots)
        ]
        return cls(keras.tree.pack_sequence_as(slots, variables))

    def of_tensors(self, indices):
        """The slots of some tensors, if `tree` is a list with one item each."""
        return SlotVariables([self.tree[i] for i in indices])

    def flat(self):
        """The variables in a list."""
        return keras.tree.flatten(self.tree)

    def values(self):
        """Nested dict/list of tensors."""
        return keras.tree.map_structure(own_value, self.tree)

    def assign(self, slots):
        """Assigns new `slots`, which must have the same structure."""
        keras.tree.assert_same_structure(self.tree, slots)
        for variable, value in zip(self.flat(), keras.tree.flatten(slots)):
            variable.assign(value)

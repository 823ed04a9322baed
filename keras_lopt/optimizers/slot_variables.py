"""A rule's slots as optimizer variables; checks of what is in them."""

import keras
from keras import ops


class SlotVariables:
    """Variables in the nested dicts and lists of the rule's slots.

    An object of its own because Keras and TensorFlow wrap the dicts and lists
    among an optimizer's attributes, and the rule must get back what it made.

    Args:
        tree: Nested dict/list of Keras variables.
    """

    def __init__(self, tree):
        self.tree = tree

    @classmethod
    def create(cls, slots, add_variable):
        """Variables that start as `slots`.

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
        """Those of some tensors, where `tree` is a list over tensors."""
        return SlotVariables([self.tree[i] for i in indices])

    def flat(self):
        """The variables in a list."""
        return keras.tree.flatten(self.tree)

    def values(self):
        """Nested dict/list of tensors."""
        return keras.tree.map_structure(ops.convert_to_tensor, self.tree)

    def assign(self, slots):
        """Takes over new `slots`, which must be nested as they were."""
        keras.tree.assert_same_structure(self.tree, slots)
        for variable, value in zip(self.flat(), keras.tree.flatten(slots)):
            variable.assign(value)


def check_trainable(variables):
    """Raises ValueError for a variable that no rule can train."""
    for variable in variables:
        name = getattr(variable, "path", variable.name)
        dtype = keras.backend.standardize_dtype(variable.dtype)
        if not keras.backend.is_float_dtype(dtype):
            raise ValueError(
                "`variables` must be real floating point. "
                f"Received: {name!r} with dtype={dtype}"
            )
        if 0 in tuple(variable.shape):
            raise ValueError(
                "`variables` must have at least one entry each. "
                f"Received: {name!r} with shape={tuple(variable.shape)}"
            )


def check_state(optimizer, variables, values):
    """Raises ValueError unless saved `values` have the variables' shapes."""
    for variable, value in zip(variables, values):
        if tuple(variable.shape) != tuple(value.shape):
            raise ValueError(
                f"The saved state does not fit optimizer {optimizer!r}: "
                f"{variable.path} must have shape {tuple(variable.shape)}. "
                f"Received: shape={tuple(value.shape)}. It was saved with "
                "another rule or model."
            )

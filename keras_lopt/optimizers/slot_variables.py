"""A rule's slots as optimizer variables."""

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

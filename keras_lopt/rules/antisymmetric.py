"""The antisymmetric part of a rule's update: what the gradient's sign changes.

Our own. The update of a random rule is mostly a constant drift, the same for a
gradient and for its opposite. Half the difference of the two is free of this
drift; what remains points along the gradient or against it.
"""

import dataclasses

import keras
from keras import ops

from keras_lopt.rules.base import Rule


@dataclasses.dataclass(frozen=True)
class AntisymmetricRule(Rule):
    """(update(g) - update(-g)) / 2 of another rule, with the same theta.

    The other rule runs on the gradients and, with separate slots, on their
    opposites. Both runs share the parameters.

    Args:
        rule: The other rule.
    """

    rule: Rule

    def __post_init__(self):
        if not isinstance(self.rule, Rule):
            raise ValueError(
                "`rule` must be a `rules.Rule`, as `rules.get(name)` builds "
                f"it. Received: rule={self.rule!r}"
            )

    @property
    def name(self):
        return f"antisymmetric {self.rule.name}"

    @property
    def required_signals(self):
        return self.rule.required_signals

    @property
    def optional_signals(self):
        return self.rule.optional_signals

    @property
    def hand_designed(self):
        return self.rule.hand_designed

    def theta_shapes(self):
        return self.rule.theta_shapes()

    def init_theta(self, seed):
        return self.rule.init_theta(seed)

    def init_slots(self, theta, params):
        """[2, ...]: slots for the gradients and for their opposites."""
        return keras.tree.map_structure(
            lambda slot: ops.stack([slot, slot]),
            self.rule.init_slots(theta, params),
        )

    def update(self, theta, grads, params, slots, signals):
        def signed_update(args):
            sign, slots = args
            signed = [sign * grad for grad in grads]
            return self.rule.update(theta, signed, params, slots, signals)

        # Mapped instead of called twice, so that the rule is compiled once.
        signs = ops.convert_to_tensor([1.0, -1.0], dtype="float32")
        deltas, slots = ops.map(signed_update, (signs, slots))
        return [0.5 * (delta[0] - delta[1]) for delta in deltas], slots

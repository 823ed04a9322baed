"""The antisymmetric part of a rule's update: what a gradient's sign changes.

Ours. What a random rule does is mostly a constant drift, the same for a
gradient and for its opposite; half the difference of the two is free of it,
and what is left points along the gradient or against it.
"""

import dataclasses

from keras_lopt.rules.base import Rule


@dataclasses.dataclass(frozen=True)
class AntisymmetricRule(Rule):
    """(update(g) - update(-g)) / 2 of another rule, with the same theta.

    The rule is run on the gradients and, with slots of its own, on their
    opposites: a mirrored run that shares the parameters.

    Args:
        rule: The rule whose update it is.
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
        return {
            "given": self.rule.init_slots(theta, params),
            "opposite": self.rule.init_slots(theta, params),
        }

    def update(self, theta, grads, params, slots, signals):
        given, given_slots = self.rule.update(
            theta, grads, params, slots["given"], signals
        )
        opposite, opposite_slots = self.rule.update(
            theta, [-g for g in grads], params, slots["opposite"], signals
        )
        deltas = [0.5 * (a - b) for a, b in zip(given, opposite, strict=True)]
        return deltas, {"given": given_slots, "opposite": opposite_slots}

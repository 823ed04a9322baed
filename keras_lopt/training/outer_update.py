"""The update of theta: each member's trainer applies its rule to it."""

import tensorflow as tf

from keras_lopt.rules import ThetaVector


class OuterUpdate:
    """Applies meta-gradients to members, by their trainers.

    The same `rule.update` as in the inner run; what is trained is now a theta,
    as a list of tensors.

    Args:
        rule: The members' `rules.Rule`.
        trainer_rule: The trainers'.
        horizon: Outer steps that a trainer whose rule has a horizon plans
            with. Past it is what the rule makes of it, as at its end.
    """

    def __init__(self, rule, trainer_rule, horizon=None):
        self.rule = rule
        self.trainer_rule = trainer_rule
        self.horizon = horizon
        self.theta_vector = ThetaVector(rule)
        self.trainer_vector = ThetaVector(trainer_rule)

    def blank_slots(self, count):
        """Slots of zeros for `count` members; step 0 replaces them."""
        params = [
            tf.zeros(shape) for shape in self.theta_vector.shapes.values()
        ]
        trainer = {
            leaf: tf.zeros(shape)
            for leaf, shape in self.trainer_vector.shapes.items()
        }
        slots = self.trainer_rule.init_slots(trainer, params)
        return tf.nest.map_structure(
            lambda t: tf.zeros([count, *t.shape], t.dtype).numpy(), slots
        )

    def __call__(self, thetas, slots, slot_steps, trainers, grads, losses):
        """One step for all members. To be called under XLA.

        Args:
            thetas: [p, d].
            slots: Nest of [p, ...]; ignored where the step is 0.
            slot_steps: [p] int32; outer steps since the slots were fresh.
            trainers: Theta of each member's trainer [p, d'] and its update
                multiplier [p].
            grads: [p, d] meta-gradients.
            losses: [p] outer losses.

        Returns:
            New thetas and new slots. An update with a non-finite entry does
            not move that entry.
        """
        signature = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape[1:], t.dtype), slots
        )
        return tf.map_fn(
            self._update_one,
            (thetas, slots, slot_steps, *trainers, grads, losses),
            fn_output_signature=(
                tf.TensorSpec([self.theta_vector.size]),
                signature,
            ),
        )

    def _update_one(self, args):
        theta, slots, step, trainer, multiplier, grad, loss = args
        trainer = self.trainer_vector.unpack(trainer)
        params = list(self.theta_vector.unpack(theta).values())
        slots = tf.cond(
            tf.equal(step, 0),
            lambda: self.trainer_rule.init_slots(trainer, params),
            lambda: slots,
        )
        # Validation losses would be a copy: both inputs get the outer loss.
        signals = {"step": step, "train_loss": loss, "valid_loss": loss}
        if self.horizon is not None:
            signals["horizon"] = self.horizon
        deltas, slots = self.trainer_rule.update(
            trainer,
            list(self.theta_vector.unpack(grad).values()),
            params,
            slots,
            signals,
        )
        delta = tf.concat([tf.reshape(d, [-1]) for d in deltas], axis=0)
        delta = multiplier * delta
        delta = tf.where(tf.math.is_finite(delta), delta, 0.0)
        return theta + delta, slots

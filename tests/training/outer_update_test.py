"""The update of theta equals the trainers' rules, called by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.rules.base import PerTensorRule
from keras_lopt.training.outer_update import OuterUpdate

MEMBER_RULE = rules.get("fused", hidden_units=4, hidden_layers=1)
TRAINER_RULES = {
    "itself": MEMBER_RULE,
    "another": rules.get("fused", hidden_units=1, hidden_layers=2),
    "adam": rules.get("adam", learning_rate=0.1),
}
COUNT = 3
MULTIPLIERS = np.array([0.5, 1.0, 8.0], np.float32)
LOSSES = np.array([1.0, 2.0, 3.0], np.float32)
ONES = np.ones([COUNT, 5])


@dataclasses.dataclass(frozen=True)
class Recorded(PerTensorRule):
    """Moves against the gradient; its slots keep what it was given."""

    required_signals = ("step", "horizon", "train_loss", "valid_loss")

    def theta_shapes(self):
        return {"scale": (), "rest": (2, 2)}

    def init_tensor_slots(self, theta, size):
        return {
            "updates": tf.zeros([]),
            "scale_at_start": theta["scale"] * tf.ones([]),
            "losses": tf.zeros([2]),
            "horizon": tf.zeros([]),
        }

    def update_tensor(self, theta, grad, param, slots, signals):
        losses = [signals["train_loss"], signals["valid_loss"]]
        return -theta["scale"] * grad, {
            "updates": slots["updates"] + 1.0,
            "scale_at_start": slots["scale_at_start"],
            "losses": tf.stack(losses),
            "horizon": tf.cast(signals["horizon"], tf.float32),
        }


def random_arguments(update, rng):
    """Thetas, trainers' thetas, meta-gradients and slots of step 1."""
    thetas = rng.normal(size=[COUNT, update.theta_vector.size])
    grads = 0.1 * rng.normal(size=thetas.shape)
    teachers = np.stack(
        [
            update.trainer_vector.pack(update.trainer_rule.init_theta(seed))
            for seed in range(COUNT)
        ]
    )
    slots = tf.nest.map_structure(
        lambda blank: rng.uniform(size=blank.shape).astype(np.float32),
        update.blank_slots(COUNT),
    )
    return thetas.astype(np.float32), teachers, grads.astype(np.float32), slots


def by_hand(update, member, theta, teacher, grad, slots, step):
    """New theta and slots of one member, by `rule.update` alone."""
    rule = update.trainer_rule
    teacher = update.trainer_vector.unpack_numpy(teacher)
    params = list(update.theta_vector.unpack_numpy(theta).values())
    grads = list(update.theta_vector.unpack_numpy(grad).values())
    if step == 0:
        slots = rule.init_slots(teacher, params)
    loss = LOSSES[member]
    signals = {"step": step, "train_loss": loss, "valid_loss": loss}
    deltas, slots = rule.update(teacher, grads, params, slots, signals)
    moved = [
        p + MULTIPLIERS[member] * d.numpy() for p, d in zip(params, deltas)
    ]
    return np.concatenate([p.reshape(-1) for p in moved]), slots


@pytest.mark.parametrize("trainer", TRAINER_RULES)
@pytest.mark.parametrize("steps", [[0, 0, 0], [1, 7, 30], [0, 5, 0]])
def test_equals_the_rule_called_by_hand(trainer, steps, rng):
    update = OuterUpdate(MEMBER_RULE, TRAINER_RULES[trainer])
    thetas, teachers, grads, slots = random_arguments(update, rng)
    new_thetas, new_slots = update(
        *(tf.constant(thetas), slots, tf.constant(steps)),
        (tf.constant(teachers), tf.constant(MULTIPLIERS)),
        *(tf.constant(grads), tf.constant(LOSSES)),
    )
    assert np.any(new_thetas != thetas, axis=1).all()  # Everyone moves.
    for i, step in enumerate(steps):
        own_slots = tf.nest.map_structure(lambda leaf, i=i: leaf[i], slots)
        theta, own_slots = by_hand(
            update, i, thetas[i], teachers[i], grads[i], own_slots, step
        )
        np.testing.assert_allclose(new_thetas[i], theta, rtol=1e-5, atol=1e-7)
        tf.nest.map_structure(
            lambda new, own, i=i: np.testing.assert_allclose(
                new[i], own, rtol=1e-5, atol=1e-7
            ),
            new_slots,
            own_slots,
        )


def recorded_update(grads, steps, scales=(1.0, 1.0, 1.0), multipliers=None):
    """Changes [p, 5] of thetas of zeros, and new slots, by `Recorded`."""
    update = OuterUpdate(Recorded(), Recorded(), horizon=30)
    grads = tf.constant(grads, tf.float32)
    slots = tf.nest.map_structure(
        lambda blank: np.full_like(blank, 50.0), update.blank_slots(COUNT)
    )
    teachers = np.zeros([COUNT, 5], np.float32)
    teachers[:, 0] = scales
    multipliers = MULTIPLIERS if multipliers is None else multipliers
    changes, slots = update(
        *(tf.zeros_like(grads), slots, tf.constant(steps)),
        (tf.constant(teachers), tf.constant(multipliers, tf.float32)),
        *(grads, tf.constant(LOSSES)),
    )
    return changes.numpy(), slots


def test_the_multiplier_scales_the_update():
    changes, _ = recorded_update(ONES, [3, 3, 3])
    np.testing.assert_array_equal(changes, -MULTIPLIERS[:, None] * ONES)


def test_step_0_starts_from_slots_of_the_trainer():
    scales = [0.5, 0.25, 0.125]
    _, slots = recorded_update(ONES, [0, 4, 0], scales)
    for leaf in slots:
        np.testing.assert_array_equal(leaf["updates"], [1.0, 51.0, 1.0])
        np.testing.assert_array_equal(
            leaf["scale_at_start"], [scales[0], 50.0, scales[2]]
        )


def test_the_horizon_is_that_of_the_outer_steps():
    _, slots = recorded_update(ONES, [0, 4, 0])
    for leaf in slots:
        np.testing.assert_array_equal(leaf["horizon"], [30.0] * COUNT)


def test_both_losses_are_the_outer_loss():
    _, slots = recorded_update(ONES, [0, 0, 0])
    for leaf in slots:
        np.testing.assert_array_equal(
            leaf["losses"], np.stack([LOSSES, LOSSES], axis=1)
        )


def test_non_finite_updates_move_nothing_and_the_others_move():
    bad = [np.nan, np.inf, -np.inf]
    grads = np.array([[1.0, 2.0, *bad], [*bad, 3.0, 4.0], [1.0] * 5])
    changes, _ = recorded_update(grads, [0, 0, 0], multipliers=[1.0] * 3)
    expected = np.where(np.isfinite(grads), -grads, 0.0)
    np.testing.assert_array_equal(changes, expected)


def test_a_finite_delta_times_its_multiplier_may_not_be_finite():
    grads = np.full([3, 5], 1.0)
    grads[:2, 0] = 3e38, -3e38
    changes, _ = recorded_update(grads, [0, 0, 0], multipliers=[8.0] * 3)
    expected = np.where(grads == 1.0, -8.0, 0.0)
    np.testing.assert_array_equal(changes, expected)


@pytest.mark.parametrize("trainer", TRAINER_RULES)
def test_blank_slots_are_zeros_like_the_rules(trainer):
    update = OuterUpdate(MEMBER_RULE, TRAINER_RULES[trainer])
    params = [tf.zeros(s) for s in MEMBER_RULE.theta_shapes().values()]
    slots = update.trainer_rule.init_slots(
        update.trainer_rule.init_theta(0), params
    )
    blank = update.blank_slots(COUNT)
    tf.nest.assert_same_structure(blank, slots)
    for one, many in zip(tf.nest.flatten(slots), tf.nest.flatten(blank)):
        assert many.shape == (COUNT, *one.shape)
        assert many.dtype == one.dtype.as_numpy_dtype
        assert not many.any()

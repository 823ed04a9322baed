"""The update of theta equals the teachers' rules, called by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.population import FixedTeacher, NoSelection
from keras_lopt.rules import ThetaVector
from keras_lopt.rules.base import PerTensorRule
from keras_lopt.training import Schedule
from keras_lopt.training.outer_step import apply_teachers, update
from keras_lopt.training.state import blank_slots
from tests import tiny

MEMBER_RULE = rules.get("fused", hidden_units=4, hidden_layers=1)
TEACHER_RULES = {
    "itself": MEMBER_RULE,
    "another": rules.get("fused", hidden_units=1, hidden_layers=2),
    "adam": rules.get("adam", learning_rate=0.1),
}
COUNT = 3
HORIZON = 30
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


def experiment_of(rule, teacher_rule):
    """COUNT members of `rule` whose teachers apply all of `teacher_rule`."""
    return tiny.experiment(
        rule=rule,
        teachers=FixedTeacher(teacher=teacher_rule, antisymmetric=False),
        selection=NoSelection(),
        schedule=Schedule(population=COUNT, outer_horizon=HORIZON),
    )


def random_arguments(experiment, rng):
    """Thetas, teachers' thetas, meta-gradients and slots of step 1."""
    thetas = rng.normal(size=[COUNT, experiment.theta_vector.size])
    grads = 0.1 * rng.normal(size=thetas.shape)
    rule = experiment.teacher_rule
    teachers = np.stack(
        [ThetaVector(rule).pack(rule.init_theta(seed)) for seed in range(COUNT)]
    )
    slots = tf.nest.map_structure(
        lambda blank: rng.uniform(size=blank.shape).astype(np.float32),
        blank_slots(experiment),
    )
    return thetas.astype(np.float32), teachers, grads.astype(np.float32), slots


def by_hand(experiment, member, theta, teacher, grad, slots, step):
    """New theta and slots of one member, by `rule.update` alone."""
    rule, vector = experiment.teacher_rule, experiment.theta_vector
    teacher = ThetaVector(rule).unpack_numpy(teacher)
    params = list(vector.unpack_numpy(theta).values())
    grads = list(vector.unpack_numpy(grad).values())
    if step == 0:
        slots = rule.init_slots(teacher, params)
    loss = LOSSES[member]
    signals = {"step": step, "train_loss": loss, "valid_loss": loss}
    deltas, slots = rule.update(teacher, grads, params, slots, signals)
    moved = [
        p + MULTIPLIERS[member] * d.numpy() for p, d in zip(params, deltas)
    ]
    return np.concatenate([p.reshape(-1) for p in moved]), slots


@pytest.mark.parametrize("teacher", TEACHER_RULES)
@pytest.mark.parametrize("steps", [[0, 0, 0], [1, 7, 30], [0, 5, 0]])
def test_equals_the_rule_called_by_hand(teacher, steps, rng):
    experiment = experiment_of(MEMBER_RULE, TEACHER_RULES[teacher])
    thetas, teachers, grads, slots = random_arguments(experiment, rng)
    new_thetas, new_slots = apply_teachers(
        *(experiment, tf.constant(thetas), slots, tf.constant(steps)),
        (tf.constant(teachers), tf.constant(MULTIPLIERS)),
        *(tf.constant(grads), tf.constant(LOSSES)),
    )
    assert np.any(new_thetas != thetas, axis=1).all()  # Everyone moves.
    for i, step in enumerate(steps):
        own_slots = tf.nest.map_structure(lambda leaf, i=i: leaf[i], slots)
        theta, own_slots = by_hand(
            experiment, i, thetas[i], teachers[i], grads[i], own_slots, step
        )
        np.testing.assert_allclose(new_thetas[i], theta, rtol=1e-5, atol=1e-7)
        tf.nest.map_structure(
            lambda new, own, i=i: np.testing.assert_allclose(
                new[i], own, rtol=1e-5, atol=1e-7
            ),
            new_slots,
            own_slots,
        )


RECORDED = experiment_of(Recorded(), Recorded())


def recorded_update(grads, steps, scales=(1.0, 1.0, 1.0), multipliers=None):
    """Changes [p, 5] of thetas of zeros, and new slots, by `Recorded`."""
    grads = tf.constant(grads, tf.float32)
    slots = tf.nest.map_structure(
        lambda blank: np.full_like(blank, 50.0), blank_slots(RECORDED)
    )
    teachers = np.zeros([COUNT, 5], np.float32)
    teachers[:, 0] = scales
    multipliers = MULTIPLIERS if multipliers is None else multipliers
    changes, slots = apply_teachers(
        *(RECORDED, tf.zeros_like(grads), slots, tf.constant(steps)),
        (tf.constant(teachers), tf.constant(multipliers, tf.float32)),
        *(grads, tf.constant(LOSSES)),
    )
    return changes.numpy(), slots


def test_the_multiplier_scales_the_update():
    changes, _ = recorded_update(ONES, [3, 3, 3])
    np.testing.assert_array_equal(changes, -MULTIPLIERS[:, None] * ONES)


def test_step_0_starts_from_slots_of_the_teacher():
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


def test_an_update_that_its_multiplier_makes_infinite_moves_nothing():
    grads = np.full([3, 5], 1.0)
    grads[:2, 0] = 3e38, -3e38
    changes, _ = recorded_update(grads, [0, 0, 0], multipliers=[8.0] * 3)
    expected = np.where(grads == 1.0, -8.0, 0.0)
    np.testing.assert_array_equal(changes, expected)


def test_an_outer_step_clips_updates_and_counts():
    steps = [0, 4, 9]
    grads = np.linspace(-3.0, 3.0, 5 * COUNT).reshape(COUNT, 5)
    clip = RECORDED.estimator.clip
    expected, expected_slots = recorded_update(
        np.clip(grads, -clip, clip), steps
    )
    slots = tf.nest.map_structure(
        lambda blank: np.full_like(blank, 50.0), blank_slots(RECORDED)
    )
    teachers = np.zeros([COUNT, 5], np.float32)
    teachers[:, 0] = 1.0
    thetas = tf.zeros([COUNT, 5])
    (changes, averages, slots, slot_steps), losses = update(
        *(RECORDED, thetas, thetas, slots, tf.constant(steps)),
        (tf.constant(teachers), tf.constant(MULTIPLIERS)),
        *([tf.constant(grads, tf.float32)], [tf.constant(LOSSES)]),
    )
    np.testing.assert_array_equal(changes, expected)
    np.testing.assert_array_equal(averages, changes)
    np.testing.assert_array_equal(losses, LOSSES)
    tf.nest.map_structure(np.testing.assert_array_equal, slots, expected_slots)
    assert slot_steps.numpy().tolist() == [1, 5, 10]


def taught(experiment, thetas, teachers, grads, multipliers, step=0):
    """New thetas [p, d] after one update from fresh slots."""
    slots = blank_slots(experiment)
    new, _ = apply_teachers(
        *(experiment, tf.constant(thetas), slots, tf.fill([COUNT], step)),
        (tf.constant(teachers), tf.constant(multipliers, tf.float32)),
        *(tf.constant(grads), tf.constant(LOSSES)),
    )
    return new.numpy()


@pytest.mark.parametrize("multiplier", [0.004, 0.1])
def test_a_relative_first_step_is_as_long_as_its_multiplier(multiplier, rng):
    experiment = dataclasses.replace(
        experiment_of(MEMBER_RULE, MEMBER_RULE),
        teachers=FixedTeacher(
            teacher=MEMBER_RULE, antisymmetric=False, relative=True
        ),
    )
    thetas, teachers, grads, _ = random_arguments(experiment, rng)
    new = taught(experiment, thetas, teachers, grads, [multiplier] * COUNT)
    lengths = np.linalg.norm(new - thetas, axis=1)
    norms = np.linalg.norm(thetas, axis=1)
    np.testing.assert_allclose(lengths / norms, multiplier, rtol=1e-3)


def test_a_teacher_without_a_first_step_moves_nothing(rng):
    experiment = dataclasses.replace(
        RECORDED, teachers=FixedTeacher(teacher=Recorded(), relative=True)
    )
    thetas = rng.normal(size=[COUNT, 5]).astype(np.float32)
    teachers = np.zeros([COUNT, 5], np.float32)  # Scale 0.
    new = taught(experiment, thetas, teachers, np.float32(ONES), [1.0] * COUNT)
    np.testing.assert_array_equal(new, thetas)


def test_a_theta_can_be_one_matrix_for_its_teacher(rng):
    teachers = FixedTeacher(
        teacher=MEMBER_RULE, antisymmetric=False, as_one=True
    )
    experiment = dataclasses.replace(
        experiment_of(MEMBER_RULE, MEMBER_RULE), teachers=teachers
    )
    thetas, drawn, grads, _ = random_arguments(experiment, rng)
    new = taught(experiment, thetas, drawn, grads, [1.0] * COUNT)
    for i in range(COUNT):
        theta = ThetaVector(MEMBER_RULE).unpack_numpy(drawn[i])
        params = [thetas[i][:, None]]
        signals = {"step": 0, "train_loss": LOSSES[i]}
        (delta,), _ = MEMBER_RULE.update(
            *(theta, [grads[i][:, None]], params),
            MEMBER_RULE.init_slots(theta, params),
            signals,
        )
        expected = thetas[i] + delta.numpy()[:, 0]
        np.testing.assert_allclose(new[i], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_an_update_averages_tasks_and_thetas(rate):
    schedule = dataclasses.replace(RECORDED.schedule, averaging=rate)
    experiment = dataclasses.replace(RECORDED, schedule=schedule)
    teachers = np.zeros([COUNT, 5], np.float32)
    teachers[:, 0] = 1.0
    thetas = np.zeros([COUNT, 5], np.float32)
    averages = np.full([COUNT, 5], 4.0, np.float32)
    grads = [tf.fill([COUNT, 5], value) for value in (0.02, 0.06)]
    losses = [tf.constant(LOSSES), tf.constant(3.0 * LOSSES)]
    (new, means, _, steps), mean_losses = update(
        *(experiment, tf.constant(thetas), tf.constant(averages)),
        *(blank_slots(experiment), tf.zeros([COUNT], tf.int32)),
        (tf.constant(teachers), tf.ones([COUNT])),
        *(grads, losses),
    )
    np.testing.assert_allclose(new, -0.04 * ONES, rtol=1e-6)
    expected = 4.0 + rate * (-0.04 - 4.0)
    np.testing.assert_allclose(means, expected * ONES, rtol=1e-6)
    np.testing.assert_allclose(mean_losses, 2.0 * LOSSES)
    np.testing.assert_array_equal(steps, [1, 1, 1])

"""`PopulationState`: copies, arrays, and what a population begins as."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.population import FixedTeacher, FrozenTeachers
from keras_lopt.training import PopulationState
from keras_lopt.training.state import blank_slots, random_members
from tests import tiny

TEACHER_RULES = {
    "itself": tiny.RULE,
    "another": rules.get("fused", hidden_units=1, hidden_layers=2),
    "adam": rules.get("adam", learning_rate=0.1),
}


def test_arrays_are_a_copy_that_later_training_leaves_alone():
    trainer = tiny.trainer()
    trainer.fit(1)
    arrays, log = tiny.arrays(trainer), trainer.state.log()
    before = tiny.leaves(arrays)
    trainer.fit(3)
    after = tiny.leaves(tiny.arrays(trainer))
    assert tiny.leaves(arrays) == before != after
    trainer.state = PopulationState.from_arrays(
        arrays, log, trainer.devices.replicas
    )
    assert trainer.generation == 1
    trainer.fit(3)
    assert tiny.leaves(tiny.arrays(trainer)) == after


def test_rows_of_older_builds_have_all_columns():
    trainer = tiny.trainer()
    trainer.fit(0)
    arrays, log = tiny.arrays(trainer), trainer.state.log()
    (row,) = log["history"]
    assert (row["exchanged_bytes"], row["exchange_seconds"]) == (0, 0.0)
    older = {k: v for k, v in row.items() if not k.startswith("exchange")}
    state = PopulationState.from_arrays(
        arrays, {**log, "history": [older]}, trainer.devices.replicas
    )
    assert list(state.history[0]) == list(row)
    assert np.isnan(state.history[0]["exchanged_bytes"])
    assert np.isnan(state.history[0]["exchange_seconds"])


def test_training_makes_a_new_state():
    trainer = tiny.trainer()
    trainer.fit(0)
    before, arrays = trainer.state, tiny.leaves(tiny.arrays(trainer))
    trainer.fit(1)
    assert trainer.state is not before
    assert (before.generation, len(before.history)) == (0, 1)
    assert tiny.leaves(before.to_arrays(trainer.devices.replicas)) == arrays


def test_random_populations_have_other_members():
    experiment = tiny.experiment(seed=3)
    first, second = (random_members(experiment, number) for number in (0, 1))
    assert first.ids.tolist() == [0, 1, 2, 3]
    assert second.ids.tolist() == [4, 5, 6, 7]
    thetas = np.concatenate([first.thetas, second.thetas])
    assert len({theta.tobytes() for theta in thetas}) == 8
    for i, theta in enumerate(thetas):
        expected = tiny.RULE.init_theta((3, i))
        np.testing.assert_array_equal(
            theta, experiment.theta_vector.pack(expected)
        )


@pytest.mark.parametrize("chosen", [False, True])
def test_frozen_teachers_are_random_or_the_members_of_the_start(chosen):
    trainer = tiny.trainer(teachers=FrozenTeachers(chosen=chosen))
    trainer.fit(0)
    drawn = random_members(trainer.experiment, 0).thetas
    begun = tiny.arrays(trainer)["memory"]["thetas"]
    expected = trainer.members.thetas if chosen else drawn
    np.testing.assert_array_equal(begun, expected)


@pytest.mark.parametrize("teacher", TEACHER_RULES)
def test_blank_slots_are_zeros_shaped_like_the_teachers(teacher):
    rule = TEACHER_RULES[teacher]
    experiment = tiny.experiment(teachers=FixedTeacher(teacher=rule))
    params = [tf.zeros(s) for s in tiny.RULE.theta_shapes().values()]
    slots = rule.init_slots(rule.init_theta(0), params)
    blank = blank_slots(experiment)
    tf.nest.assert_same_structure(blank, slots)
    for one, many in zip(tf.nest.flatten(slots), tf.nest.flatten(blank)):
        assert many.shape == (tiny.SCHEDULE.population, *one.shape)
        assert many.dtype == one.dtype.as_numpy_dtype
        assert not many.any()

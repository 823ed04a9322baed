"""Who teaches whom."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lopt import rules
from keras_lopt.population import (
    FixedTeacher,
    FrozenTeachers,
    League,
    Members,
    SelfTraining,
)
from keras_lopt.rules import ThetaVector

#: Best to worst: 5, 1, 6, 3, 0, 2, 7, 4.
SCORES = np.array([2.0, 0.5, 3.0, 1.5, 9.0, 0.25, 1.0, 4.0])
#: Row i is filled with i; at the start of training with 100 + i.
THETAS = np.tile(np.arange(8.0, dtype=np.float32)[:, None], (1, 3))


def members_of(thetas, scores, first_id=0):
    ids = first_id + np.arange(len(scores))
    members = Members.initial(thetas, {}, ids)
    return dataclasses.replace(members, scores=np.asarray(scores))


MEMBERS = members_of(THETAS, SCORES, first_id=50)
INITIAL = members_of(THETAS + 100.0, SCORES, first_id=30)

seeds = st.integers(0, 2**32 - 1)
populations = st.lists(
    st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=1, max_size=16
).map(np.array)


@settings(database=None, deadline=None, max_examples=100)
@given(scores=populations, seed=seeds)
def test_the_best_quarter_teaches(scores, seed):
    thetas = np.arange(len(scores), dtype=np.float32)[:, None]
    theta, places, multipliers = SelfTraining().draw(
        members_of(thetas, scores), {}, np.random.default_rng(seed)
    )
    np.testing.assert_array_equal(theta, thetas[places])
    assert np.all(np.isnan(multipliers))  # The parents'.
    part = max(1, len(scores) // 4)
    assert scores[places].max() <= np.sort(scores)[part - 1]
    assert len(set(places)) <= part
    best = np.argmin(scores)
    assert places[best] == best  # It teaches itself.


def test_all_of_the_best_quarter_teach(rng):
    drawn = [SelfTraining().draw(MEMBERS, {}, rng).ids - 50 for _ in range(50)]
    assert set(np.ravel(drawn)) == {5, 1}
    assert {places[1] for places in drawn} == {5, 1}  # Only the best is sure.
    assert {places[5] for places in drawn} == {5}


def test_a_fraction_of_one_lets_everybody_teach(rng):
    draws = [
        SelfTraining(fraction=1.0).draw(MEMBERS, {}, rng).ids for _ in range(50)
    ]
    assert set(np.ravel(draws)) == set(MEMBERS.ids)


def test_a_population_of_one_teaches_itself(rng):
    alone = members_of(THETAS[3:4], SCORES[3:4], first_id=7)
    theta, ids, _ = SelfTraining().draw(alone, {}, rng)
    np.testing.assert_array_equal(theta, THETAS[3:4])
    np.testing.assert_array_equal(ids, [7])


@pytest.mark.parametrize(
    "fraction", [0.0, -0.5, 1.1, float("nan"), float("inf"), "0.5", True]
)
def test_refuses_bad_fractions(fraction):
    with pytest.raises(
        ValueError,
        match=r"`fraction` must be a finite number in \(0, 1\]. "
        f"Received: fraction={fraction!r}",
    ):
        SelfTraining(fraction=fraction)


def test_frozen_teachers_are_those_of_the_start(rng):
    seen = set()
    teachers = FrozenTeachers()
    memory = teachers.begin(INITIAL, MEMBERS)
    for _ in range(50):
        drawn = teachers.draw(MEMBERS, memory, rng)
        np.testing.assert_array_equal(drawn.thetas[:, 0], drawn.ids + 70)
        memory = teachers.learn(memory, drawn, MEMBERS, SCORES, MEMBERS)
        seen |= set(drawn.ids)
    assert seen == set(INITIAL.ids)


def test_frozen_teachers_are_random_unless_they_are_to_be_chosen():
    drawn, chosen = MEMBERS, INITIAL
    for teachers, expected in (
        (FrozenTeachers(), drawn),
        (FrozenTeachers(chosen=True), chosen),
    ):
        memory = teachers.begin(drawn, chosen)
        np.testing.assert_array_equal(memory["thetas"], expected.thetas)
        np.testing.assert_array_equal(memory["ids"], expected.ids)
    with pytest.raises(ValueError, match="`chosen` must be True or False"):
        FrozenTeachers(chosen=1)


def test_a_fixed_teacher_teaches_everybody(rng):
    adam = rules.get("adam")
    teachers = FixedTeacher(teacher=adam)
    theta, ids, _ = teachers.draw(MEMBERS, {}, rng)
    expected = ThetaVector(adam).pack(adam.init_theta(0))
    np.testing.assert_array_equal(theta, np.tile(expected, (8, 1)))
    np.testing.assert_array_equal(ids, np.full(8, -1))


def test_a_fixed_teacher_may_have_been_trained_before(rng, fused):
    theta = fused.init_theta(seed=5)
    drawn = FixedTeacher(teacher=fused, theta=theta).draw(MEMBERS, {}, rng)
    unpacked = ThetaVector(fused).unpack_numpy(drawn.thetas[7])
    for leaf, value in theta.items():
        np.testing.assert_array_equal(unpacked[leaf], value)


def broken_thetas():
    theta = rules.get("fused").init_theta(0)
    return [
        ({k: v for k, v in theta.items() if k != "w1"}, "missing=.'w1'."),
        ({**theta, "w1": theta["w1"][:3]}, r"`theta\['w1'\]`.*shape=\(3, 8\)"),
        ({**theta, "b0": theta["b0"] * np.nan}, "must be finite"),
    ]


@pytest.mark.parametrize("theta, message", broken_thetas())
def test_the_theta_of_a_fixed_teacher_is_checked(theta, message):
    with pytest.raises(ValueError, match=message):
        FixedTeacher(teacher=rules.get("fused"), theta=theta)


def test_a_fixed_teacher_must_be_a_rule():
    with pytest.raises(
        ValueError, match="`teacher` must be a `rules.Rule`.*teacher='adam'"
    ):
        FixedTeacher(teacher="adam")


def test_slots_are_kept_if_the_teacher_never_changes():
    assert FixedTeacher(teacher=rules.get("adam")).fresh == 0.0
    assert 0.0 < SelfTraining().fresh == FrozenTeachers().fresh < 1.0


@pytest.mark.parametrize("fresh", [-0.1, 1.1, float("nan"), "0.5", True])
@pytest.mark.parametrize("kind", [SelfTraining, League, FrozenTeachers])
def test_the_chance_of_fresh_slots_is_a_probability(kind, fresh):
    assert kind(fresh=0.0).fresh == 0.0 and kind(fresh=1.0).fresh == 1.0
    with pytest.raises(
        ValueError,
        match=r"`fresh` must be a finite number in \[0, 1\]. "
        f"Received: fresh={fresh!r}",
    ):
        kind(fresh=fresh)


@pytest.mark.parametrize("teachers", [SelfTraining, League, FrozenTeachers])
def test_teachers_apply_the_antisymmetric_part_of_their_rule(teachers):
    rule = rules.get("fused")
    assert teachers().rule(rule) == rules.AntisymmetricRule(rule)
    assert teachers(antisymmetric=False).rule(rule) == rule


def test_a_fixed_teacher_applies_all_of_its_rule():
    adam = rules.get("adam")
    assert FixedTeacher(teacher=adam).rule(rules.get("fused")) == adam


def test_refuses_a_bad_antisymmetric():
    with pytest.raises(
        ValueError,
        match="`antisymmetric` must be True or False. "
        "Received: antisymmetric='yes'",
    ):
        SelfTraining(antisymmetric="yes")

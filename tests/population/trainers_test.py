"""Who trains whom."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lopt import rules
from keras_lopt.population import FixedTrainer, FrozenTrainers, SelfTraining
from keras_lopt.rules import ThetaVector

#: Best to worst: 5, 1, 6, 3, 0, 2, 7, 4.
SCORES = np.array([2.0, 0.5, 3.0, 1.5, 9.0, 0.25, 1.0, 4.0])
#: Row i is filled with i; at the start of training with 100 + i.
THETAS = np.tile(np.arange(8.0, dtype=np.float32)[:, None], (1, 3))
INITIAL_THETAS = THETAS + 100.0

seeds = st.integers(0, 2**32 - 1)
populations = st.lists(
    st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=1, max_size=16
).map(np.array)


@settings(database=None, deadline=None, max_examples=100)
@given(scores=populations, seed=seeds)
def test_the_best_train(scores, seed):
    thetas = np.arange(len(scores), dtype=np.float32)[:, None]
    theta, places = SelfTraining().draw(
        thetas, scores, None, np.random.default_rng(seed)
    )
    np.testing.assert_array_equal(theta, thetas[places])
    part = max(1, len(scores) // 4)
    assert scores[places].max() <= np.sort(scores)[part - 1]
    assert len(set(places)) <= part
    best = np.argmin(scores)
    assert places[best] == best  # It trains itself.


def test_all_of_the_best_quarter_train(rng):
    drawn = [
        SelfTraining().draw(THETAS, SCORES, INITIAL_THETAS, rng)[1]
        for _ in range(50)
    ]
    assert set(np.ravel(drawn)) == {5, 1}
    assert {places[1] for places in drawn} == {5, 1}  # Only the best is sure.
    assert {places[5] for places in drawn} == {5}


def test_a_fraction_of_one_lets_everybody_train(rng):
    draws = [
        SelfTraining(fraction=1.0).draw(THETAS, SCORES, INITIAL_THETAS, rng)[1]
        for _ in range(50)
    ]
    assert set(np.ravel(draws)) == set(range(8))


def test_a_population_of_one_trains_itself(rng):
    theta, places = SelfTraining().draw(
        THETAS[3:4], SCORES[3:4], INITIAL_THETAS[3:4], rng
    )
    np.testing.assert_array_equal(theta, THETAS[3:4])
    np.testing.assert_array_equal(places, [0])


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


def test_frozen_trainers_are_as_they_were_at_the_start(rng):
    seen = set()
    for _ in range(50):
        theta, places = FrozenTrainers().draw(
            THETAS, SCORES, INITIAL_THETAS, rng
        )
        assert theta.shape == THETAS.shape
        np.testing.assert_array_equal(places, np.full(8, -1))
        seen |= set(theta[:, 0])
    assert seen == set(INITIAL_THETAS[:, 0])


def test_frozen_trainers_are_as_drawn_unless_they_are_to_be_chosen():
    drawn, chosen = THETAS, INITIAL_THETAS
    for trainers, expected in (
        (FrozenTrainers(), drawn),
        (FrozenTrainers(chosen=True), chosen),
        (SelfTraining(), chosen),
    ):
        assert trainers.initial_thetas(drawn, chosen) is expected
    with pytest.raises(ValueError, match="`chosen` must be True or False"):
        FrozenTrainers(chosen=1)


def test_a_fixed_trainer_trains_everybody(rng):
    adam = rules.get("adam")
    trainers = FixedTrainer(trainer=adam)
    theta, places = trainers.draw(THETAS, SCORES, INITIAL_THETAS, rng)
    expected = ThetaVector(adam).pack(adam.init_theta(0))
    np.testing.assert_array_equal(theta, np.tile(expected, (8, 1)))
    np.testing.assert_array_equal(places, np.full(8, -1))


def test_a_fixed_trainer_may_have_been_trained_before(rng, fused):
    theta = fused.init_theta(seed=5)
    drawn, _ = FixedTrainer(trainer=fused, theta=theta).draw(
        THETAS, SCORES, INITIAL_THETAS, rng
    )
    unpacked = ThetaVector(fused).unpack_numpy(drawn[7])
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
def test_the_theta_of_a_fixed_trainer_is_checked(theta, message):
    with pytest.raises(ValueError, match=message):
        FixedTrainer(trainer=rules.get("fused"), theta=theta)


def test_a_fixed_trainer_must_be_a_rule():
    with pytest.raises(
        ValueError, match="`trainer` must be a `rules.Rule`.*trainer='adam'"
    ):
        FixedTrainer(trainer="adam")


def test_slots_go_on_where_the_trainer_never_changes():
    assert FixedTrainer(trainer=rules.get("adam")).fresh == 0.0
    assert 0.0 < SelfTraining().fresh == FrozenTrainers().fresh < 1.0


@pytest.mark.parametrize("fresh", [-0.1, 1.1, float("nan"), "0.5", True])
@pytest.mark.parametrize("kind", [SelfTraining, FrozenTrainers])
def test_the_chance_of_fresh_slots_is_a_probability(kind, fresh):
    assert kind(fresh=0.0).fresh == 0.0 and kind(fresh=1.0).fresh == 1.0
    with pytest.raises(
        ValueError,
        match=r"`fresh` must be a finite number in \[0, 1\]. "
        f"Received: fresh={fresh!r}",
    ):
        kind(fresh=fresh)


@pytest.mark.parametrize("trainers", [SelfTraining, FrozenTrainers])
def test_members_train_by_the_antisymmetric_part_of_their_rule(trainers):
    rule = rules.get("fused")
    assert trainers().rule(rule) == rules.AntisymmetricRule(rule)
    assert trainers(antisymmetric=False).rule(rule) == rule


def test_a_fixed_trainer_applies_all_of_its_rule():
    adam = rules.get("adam")
    assert FixedTrainer(trainer=adam).rule(rules.get("fused")) == adam


def test_refuses_a_bad_antisymmetric():
    with pytest.raises(
        ValueError,
        match="`antisymmetric` must be True or False. "
        "Received: antisymmetric='yes'",
    ):
        SelfTraining(antisymmetric="yes")

"""A league of teachers: who enters it, who teaches, what it learns."""

import dataclasses

import numpy as np
import pytest

from keras_lopt.population import DrawnTeachers, League, Members

COUNT = 4
SCORES = np.array([2.0, 0.5, 3.0, 1.5])  # Best to worst: 1, 3, 0, 2.


def members_of(scores, first_id=0, multiplier=1.0):
    """Members whose thetas are filled with their ids."""
    ids = first_id + np.arange(len(scores))
    thetas = np.repeat(ids[:, None], 2, axis=1).astype(np.float32)
    return dataclasses.replace(
        Members.initial(thetas, {}, ids),
        scores=np.asarray(scores),
        multipliers=np.full(len(scores), multiplier),
    )


STARTING = members_of(SCORES)


def learn(league, memory, ids, gains, members=STARTING, children=STARTING):
    places = [list(memory["ids"]).index(i) for i in ids]
    teachers = DrawnTeachers(
        memory["thetas"][places], np.array(ids), memory["multipliers"][places]
    )
    return league.learn(memory, teachers, children, np.array(gains), members)


def test_a_small_league_begins_with_the_best():
    memory = League(size=2).begin(members_of([0.0] * COUNT, 50), STARTING)
    assert memory["ids"].tolist() == [1, 3]
    np.testing.assert_array_equal(memory["thetas"][:, 0], [1.0, 3.0])
    assert np.all(np.isnan(memory["multipliers"]))


def test_vacant_places_do_not_teach(rng):
    league = League(size=9)
    memory = league.begin(STARTING, STARTING)
    seen = set()
    for _ in range(50):
        teachers = league.draw(STARTING, memory, rng)
        np.testing.assert_array_equal(teachers.thetas[:, 0], teachers.ids)
        seen |= set(teachers.ids)
    assert seen == {0, 1, 2, 3}


def test_the_best_member_takes_a_vacant_place_or_that_of_least_merit():
    league = League(size=5, memory_rate=1.0)
    memory = league.begin(STARTING, STARTING)
    gains = [3.0, 2.0, -np.inf, 1.0]
    memory = learn(
        league, memory, [0, 1, 2, 3], gains, members_of([1.0, 0.5], 10)
    )
    assert sorted(memory["ids"]) == [0, 1, 2, 3, 11]
    memory = learn(league, memory, [0, 0, 0, 0], gains, members_of([1.0], 12))
    # The student of 2 was the one that was not accepted.
    assert sorted(memory["ids"]) == [0, 1, 3, 11, 12]
    np.testing.assert_array_equal(memory["thetas"][:, 0], memory["ids"])
    again = learn(league, memory, [0, 0, 0, 0], gains, members_of([1.0], 12))
    assert again["ids"].tolist() == memory["ids"].tolist()  # It is in already.


def test_a_member_that_enters_gets_the_mean_merit():
    league = League(size=2, memory_rate=1.0)
    memory = league.begin(STARTING, STARTING)
    gains = [3.0, -np.inf, -np.inf, -np.inf]  # Ranks 1, 0, 0, 0.
    memory = learn(league, memory, [1, 1, 3, 3], gains, members_of([1.0], 10))
    merits = dict(zip(memory["ids"], memory["merits"]))
    assert merits == {1: 0.5, 10: pytest.approx(0.25)}  # 3 had 0.


def test_merit_is_a_moving_average_of_ranks():
    league = League(size=4, memory_rate=0.5)
    memory = league.begin(STARTING, STARTING)
    gains = [5.0, -np.inf, 1.0, 2.0]
    memory = learn(league, memory, [0, 1, 2, 3], gains)
    merits = dict(zip(memory["ids"], memory["merits"]))
    ranks = {0: 1.0, 1: 0.0, 2: 1 / 3, 3: 2 / 3}
    assert merits == pytest.approx({k: 0.25 + r / 2 for k, r in ranks.items()})


def test_merit_does_not_grow_with_the_number_of_students():
    league = League(size=4, memory_rate=0.5)
    memory = league.begin(STARTING, STARTING)
    memory = learn(league, memory, [0] * 4, [1.0, 4.0, 2.0, 3.0])
    merits = dict(zip(memory["ids"], memory["merits"]))
    assert merits[0] == pytest.approx(0.5)  # Ranks 0, 1, 1/3, 2/3.
    memory = learn(league, memory, [1, 1, 0, 0], [1.0, 2.0, 3.0, 4.0])
    merits = dict(zip(memory["ids"], memory["merits"]))
    weight = 1.0 - 0.5**2
    assert merits[0] == pytest.approx(0.5 + weight * (5 / 6 - 0.5))
    assert merits[1] == pytest.approx(0.5 + weight * (1 / 6 - 0.5))


def test_those_with_merit_teach(rng):
    league = League(size=4, sharpness=3.0)
    memory = league.begin(STARTING, STARTING)
    for _ in range(20):
        gains = [1.0, -np.inf, -np.inf, -np.inf]
        memory = learn(league, memory, [2, 0, 1, 3], gains)
    drawn = [league.draw(STARTING, memory, rng).ids for _ in range(500)]
    share = np.mean(np.ravel(drawn) == 2)
    assert 0.97 < share < 1.0  # The others keep a chance.
    even = League(size=4, sharpness=0.0)
    drawn = [even.draw(STARTING, memory, rng).ids for _ in range(500)]
    assert 0.2 < np.mean(np.ravel(drawn) == 2) < 0.3


def test_the_multiplier_is_that_of_the_student_that_gained_most(rng):
    league = League(size=1)
    memory = league.begin(STARTING, STARTING)
    children = dataclasses.replace(
        STARTING, multipliers=np.array([1.0, 2.0, 4.0, 8.0])
    )
    gains = [0.1, 0.3, 0.2, -np.inf]
    memory = learn(league, memory, [1] * 4, gains, children=children)
    assert memory["multipliers"].tolist() == [2.0]
    assert league.draw(STARTING, memory, rng).multipliers.tolist() == [2.0] * 4
    nobody = learn(league, memory, [1] * 4, [-np.inf] * 4, children=children)
    assert nobody["multipliers"].tolist() == [2.0]


def test_a_population_of_one_teaches_itself(rng):
    alone = members_of([0.5], first_id=7)
    league = League()
    memory = league.begin(alone, alone)
    teachers = league.draw(alone, memory, rng)
    assert teachers.ids.tolist() == [7]
    better = league.learn(memory, teachers, alone, np.array([1.0]), alone)
    assert better["merits"][0] > 0.5
    worse = league.learn(memory, teachers, alone, np.array([-np.inf]), alone)
    assert worse["merits"][0] < 0.5


@pytest.mark.parametrize(
    "setting, value, rule",
    [
        ("size", 0, "an integer >= 1"),
        ("size", 2.0, "an integer >= 1"),
        ("sharpness", -1.0, r"a finite number in \[0, inf\)"),
        ("sharpness", float("nan"), r"a finite number in \[0, inf\)"),
        ("memory_rate", 0.0, r"a finite number in \(0, 1\]"),
        ("memory_rate", "1", r"a finite number in \(0, 1\]"),
    ],
)
def test_refuses_bad_settings(setting, value, rule):
    with pytest.raises(
        ValueError,
        match=f"`{setting}` must be {rule}. Received: {setting}={value!r}",
    ):
        League(**{setting: value})

"""A generation, on a stand-in for the compiled program."""

import dataclasses

import numpy as np
import pytest

from keras_lopt.population import (
    Elitist,
    FixedTrainer,
    FrozenTrainers,
    League,
    LogNormal,
    Members,
    NoMutation,
    NoSelection,
    SelfTraining,
    WinnerTakeAll,
)
from keras_lopt.rules import get
from keras_lopt.training import Schedule
from keras_lopt.training.evolution import Evolution

COUNT = 8
SCHEDULE = Schedule(
    population=COUNT, candidates=2, outer_steps=3, redraw_every=2
)


class FakeMixture:
    """Two tasks in turn."""

    weights = np.array([0.25, 0.75])

    def draw(self, seed, number):
        return (seed + number) % 2


class FakeProgram:
    """Programs whose results are known.

    A theta is one number. Its mean score is that number plus an offset of the
    set of problems; an outer step adds multiplier * teacher to it. An inner
    state is an array [p]. What it is called with is kept.
    """

    def __init__(self):
        self.mixture = FakeMixture()
        self.scored = []  # (thetas, seed) of every scoring
        self.step_tasks = []
        self.step_seeds = []

    @staticmethod
    def offset(seed):
        return np.float32(int(np.asarray(seed)[0]) % 7)

    def score(self, thetas, seed):
        self.scored.append((thetas, tuple(np.asarray(seed))))
        scores = thetas[:, :1] + self.offset(seed)
        scores = scores + np.float32([3.0, -1.0])  # [p, t]
        return scores, 10.0 * scores

    def copy_members(self, states, sources):
        return [state[sources] for state in states]

    def train(self, trained, trainers, states, steps_of_tasks):
        thetas, slots, steps = trained
        teachers, multipliers = trainers
        for task, seed in steps_of_tasks:
            self.step_tasks.append(task)
            self.step_seeds.append(tuple(np.asarray(seed)))
            thetas = thetas + multipliers[:, None] * teachers[:, :1]
            slots = {"updates": slots["updates"] + 1.0}
            steps = steps + 1
        return (thetas, slots, steps), thetas[:, 0], states


def evolution(**changes):
    settings = {
        "program": FakeProgram(),
        "schedule": SCHEDULE,
        "trainers": SelfTraining(),
        "selection": Elitist(),
        "mutation": NoMutation(),
        "seed": 0,
    }
    return Evolution(**{**settings, **changes})


def advance(evo, members, inner_states, generation, memory=None):
    """The outcome of a generation; trainers remember the members as begun."""
    if memory is None:
        memory = evo.trainers.begin(members, members)
    return evo.next(members, memory, inner_states, generation)


def members_of(values, **changes):
    """Members with these thetas, scored 0.5 above them."""
    thetas = np.array(values, np.float32)[:, None]
    members = Members.initial(
        thetas, {"updates": np.full(COUNT, 4.0)}, np.arange(COUNT)
    )
    scores = thetas[:, 0] + 0.5
    return dataclasses.replace(members, scores=scores, **changes)


#: All below zero: every trainer lowers a theta, so that children are better.
FALLING = members_of([-5.0, -1.0, -8.0, -3.0, -2.0, -7.0, -4.0, -6.0])
INNER_STATES = [np.arange(COUNT) * 11, np.arange(COUNT) * 13]


def test_scores_are_the_programs():
    evo = evolution()
    members = evo.score(FALLING, generation=0)
    (thetas, seed) = evo.program.scored[0]
    np.testing.assert_array_equal(thetas, FALLING.thetas)
    offset = evo.program.offset(seed)
    np.testing.assert_array_equal(members.scores, FALLING.thetas[:, 0] + offset)
    np.testing.assert_array_equal(members.train_losses, 10.0 * members.scores)
    np.testing.assert_array_equal(members.ids, FALLING.ids)
    # The weighted mean of those on each task.
    apart = members.task_scores - members.scores[:, None]
    np.testing.assert_array_equal(apart, [[3.0, -1.0]] * COUNT)


def test_the_number_of_an_outer_step_says_its_task():
    evo = evolution()
    steps = [
        advance(evo, FALLING, INNER_STATES, g).task_steps for g in range(2)
    ]
    assert evo.program.step_tasks == [0, 1, 0, 1, 0, 1]
    np.testing.assert_array_equal(steps, [[2, 1], [1, 2]])


def test_scoring_problems_change_when_they_are_redrawn():
    evo = evolution(schedule=dataclasses.replace(SCHEDULE, redraw_every=3))
    for generation in range(9):
        evo.score(FALLING, generation)
    seeds = [seed for _, seed in evo.program.scored]
    assert seeds[0::3] == seeds[1::3] == seeds[2::3]
    assert len(set(seeds)) == 3


def test_the_worst_start_from_copies_of_the_best():
    evo = evolution()
    outcome = advance(evo, FALLING, INNER_STATES, generation=0)
    parents = np.array([row["parent"] for row in outcome.child_rows])
    worst, best = [1, 4], {2, 5}  # Scores -0.5, -1.5 and -7.5, -6.5.
    assert set(parents[worst]) <= best
    others = [0, 2, 3, 5, 6, 7]
    np.testing.assert_array_equal(parents[others], others)
    # Their inner runs are copied with them.
    for state, before in zip(outcome.inner_states, INNER_STATES, strict=True):
        np.testing.assert_array_equal(state, before[parents])


def test_children_are_trained_by_their_trainers():
    evo = evolution()
    outcome = advance(evo, FALLING, INNER_STATES, generation=0)
    for i, row in enumerate(outcome.child_rows):
        start = FALLING.thetas[row["parent"], 0]
        teacher = FALLING.thetas[row["trainer"], 0]
        expected = start + SCHEDULE.outer_steps * teacher
        assert outcome.members.thetas[i, 0] == expected
        assert outcome.losses[i] == expected
    assert {row["trainer"] for row in outcome.child_rows} <= {2, 5}
    assert outcome.child_rows[2]["trainer"] == 2  # The best trains itself.


def test_a_better_child_takes_its_members_place_and_no_other_does():
    values = [-5.0, -1.0, -8.0, -3.0, -2.0, -7.0, -4.0, -6.0]
    evo = evolution(
        trainers=FrozenTrainers(),
        schedule=dataclasses.replace(SCHEDULE, outer_steps=1),
    )
    seed_offset = evo.score(FALLING, 0).scores[0] - FALLING.thetas[0, 0]
    members = members_of(values)
    members.scores = members.thetas[:, 0] + seed_offset
    rising = {  # Trainers that make all worse.
        "thetas": np.ones([COUNT, 1], np.float32),
        "ids": np.arange(COUNT),
    }
    outcome = advance(evo, members, INNER_STATES, 0, memory=rising)
    # Only copies of the best are still better than the worst, which they
    # replace; theirs is a step worse than their parents'.
    np.testing.assert_array_equal(np.flatnonzero(outcome.accepted), [1, 4])
    for i, row in enumerate(outcome.child_rows):
        if row["accepted"]:
            assert outcome.members.ids[i] == row["id"]
            assert outcome.members.parents[i] == row["parent"]
            parent = members.thetas[row["parent"], 0]
            assert outcome.members.thetas[i, 0] == parent + 1.0
        else:
            assert outcome.members.ids[i] == members.ids[i]
            assert outcome.members.thetas[i, 0] == members.thetas[i, 0]
        assert outcome.members.scores[i] <= members.scores[i]


def test_redraw_scores_everyone_again_before_selection():
    evo = evolution()
    stale = dataclasses.replace(FALLING, scores=np.zeros(COUNT, np.float32))
    outcome = advance(evo, stale, INNER_STATES, SCHEDULE.redraw_every)
    (rescored, new_seed), (_, child_seed) = evo.program.scored
    np.testing.assert_array_equal(rescored, FALLING.thetas)
    assert new_seed == child_seed
    kept = ~outcome.accepted
    np.testing.assert_array_equal(
        outcome.members.scores[kept],
        FALLING.thetas[kept, 0] + evo.program.offset(new_seed),
    )


@pytest.mark.parametrize("generation", [0, 1, 3, 5])
def test_between_redraws_only_children_are_scored(generation):
    evo = evolution()
    advance(evo, FALLING, INNER_STATES, generation)
    assert len(evo.program.scored) == 1


def test_a_generation_follows_from_seed_and_number():
    first, again = evolution(), evolution()
    outcomes = [
        advance(evo, FALLING, INNER_STATES, generation=5)
        for evo in (first, again)
    ]
    assert outcomes[0].child_rows == outcomes[1].child_rows
    assert first.program.step_seeds == again.program.step_seeds
    for other in (
        advance(evolution(seed=1), FALLING, INNER_STATES, generation=5),
        advance(evolution(), FALLING, INNER_STATES, generation=6),
    ):
        ours = [row["parent"] for row in outcomes[0].child_rows]
        ours += [row["trainer"] for row in outcomes[0].child_rows]
        theirs = [row["parent"] for row in other.child_rows]
        theirs += [row["trainer"] for row in other.child_rows]
        assert ours != theirs


def test_every_outer_step_and_every_scoring_has_its_own_seed():
    evo = evolution()
    members, states = FALLING, INNER_STATES
    for generation in range(6):
        members, _, states, *_ = advance(evo, members, states, generation)
    steps = evo.program.step_seeds
    scorings = {seed for _, seed in evo.program.scored}
    assert len(steps) == 6 * SCHEDULE.outer_steps
    assert len(set(steps)) == len(steps)
    assert len(scorings) == 3
    assert not scorings & set(steps)


def test_ids_of_children_are_new():
    evo = evolution()
    members, states = FALLING, INNER_STATES
    first_child = SCHEDULE.candidates * COUNT
    for generation in range(3):
        outcome = advance(evo, members, states, generation)
        ids = [row["id"] for row in outcome.child_rows]
        start = first_child + generation * COUNT
        assert ids == list(range(start, start + COUNT))
        members, states = outcome.members, outcome.inner_states


TRAINERS = [
    SelfTraining(fresh=0.5),
    League(fresh=0.5),
    FrozenTrainers(fresh=0.5),
    FixedTrainer(trainer=get("adam"), fresh=0.5),
]


@pytest.mark.parametrize("trainers", TRAINERS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("fresh, starts", [(0.0, {33}), (1.0, {3})])
def test_slots_start_anew_or_go_on(trainers, fresh, starts):
    members = dataclasses.replace(
        FALLING, slot_steps=np.full(COUNT, 30, np.int32)
    )
    evo = evolution(
        selection=NoSelection(),
        trainers=dataclasses.replace(trainers, fresh=fresh),
    )
    after = advance(evo, members, INNER_STATES, 0).members
    assert set(after.slot_steps.tolist()) == starts
    assert after.slot_steps.dtype == np.int32
    np.testing.assert_array_equal(after.slots["updates"], 4.0 + 3.0)


def test_chance_decides_whose_slots_start_anew():
    evo = evolution(selection=NoSelection(), trainers=TRAINERS[0])
    members = dataclasses.replace(
        FALLING, slot_steps=np.full(COUNT, 30, np.int32)
    )
    steps = [
        advance(evo, members, INNER_STATES, g).members.slot_steps
        for g in (0, 1)
    ]
    assert set(np.ravel(steps)) == {3, 33}
    assert np.any(steps[0] != steps[1])


def test_a_fixed_trainer_is_not_of_the_population():
    evo = evolution(trainers=TRAINERS[3])
    outcome = advance(evo, FALLING, INNER_STATES, 0)
    assert {row["trainer"] for row in outcome.child_rows} == {-1}


def test_no_selection_takes_every_child():
    evo = evolution(selection=NoSelection())
    outcome = advance(evo, FALLING, INNER_STATES, 0)
    assert outcome.accepted.all()
    assert outcome.inner_states is INNER_STATES  # Nothing to copy.


def test_winner_take_all_copies_the_best():
    evo = evolution(selection=WinnerTakeAll())
    outcome = advance(evo, FALLING, INNER_STATES, 0)
    assert {row["parent"] for row in outcome.child_rows} == {2}
    for state, before in zip(outcome.inner_states, INNER_STATES, strict=True):
        np.testing.assert_array_equal(state, before[2])


def test_children_have_mutated_multipliers():
    multipliers = np.full(COUNT, 2.0)
    members = dataclasses.replace(FALLING, multipliers=multipliers)
    evo = evolution(mutation=LogNormal(), selection=NoSelection())
    outcome = advance(evo, members, INNER_STATES, 0)
    rows = np.array([row["multiplier"] for row in outcome.child_rows])
    np.testing.assert_array_equal(outcome.members.multipliers, rows)
    assert len(set(rows)) > 1
    np.testing.assert_array_equal(members.multipliers, 2.0)


def test_a_league_learns_from_its_students():
    evo = evolution(trainers=League(size=3))
    begun = evo.trainers.begin(FALLING, FALLING)
    outcome = advance(evo, FALLING, INNER_STATES, 0)
    rows = [row for row in outcome.child_rows if row["accepted"]]
    # The best of FALLING are those that lower most.
    assert {row["trainer"] for row in outcome.child_rows} <= {2, 5, 7}
    best = min(rows, key=lambda row: row["score"])
    assert best["id"] in outcome.memory["ids"]  # It has entered.
    assert begun["ids"].tolist() == [2, 5, 7]  # Not changed in place.


def test_children_of_a_league_take_their_trainers_multiplier():
    evo = evolution(trainers=League(size=2), selection=NoSelection())
    memory = evo.trainers.begin(FALLING, FALLING)
    memory["multipliers"] = np.array([0.5, np.nan])
    members = dataclasses.replace(FALLING, multipliers=np.full(COUNT, 2.0))
    rows = advance(evo, members, INNER_STATES, 0, memory).child_rows
    first, second = memory["ids"]
    expected = {first: 0.5, second: 2.0}  # Nobody yet: the parent's.
    assert {row["trainer"] for row in rows} == set(expected)
    for row in rows:
        assert row["multiplier"] == expected[row["trainer"]]


def test_members_are_not_changed_in_place():
    before = {k: np.copy(v) for k, v in vars(FALLING).items() if k != "slots"}
    advance(evolution(mutation=LogNormal()), FALLING, INNER_STATES, 0)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(FALLING, name), value)

"""A generation, on a stand-in for the devices."""

import dataclasses

import numpy as np
import pytest

from keras_lopt.population import (
    Elitist,
    FixedTeacher,
    FrozenTeachers,
    League,
    LogNormal,
    Members,
    NoMutation,
    NoSelection,
    SelfTraining,
    WinnerTakeAll,
)
from keras_lopt.rules import get
from keras_lopt.training import PopulationState, Schedule
from keras_lopt.training.generation import next_generation
from keras_lopt.training.scoring import scored

COUNT = 8
SCHEDULE = Schedule(
    population=COUNT, candidates=2, outer_steps=3, redraw_every=2
)


class FakeMixture:
    """Two tasks that take turns."""

    weights = np.array([0.25, 0.75])

    def draw_several(self, seed, number, count):
        return tuple((seed + number + i) % 2 for i in range(count))


class FakeDevices:
    """Devices whose results are known.

    A theta is one number. Its mean score is that number plus an offset of the
    set of problems; an outer step adds multiplier * teacher to it. Its average
    is the theta itself. An inner state is an array [p]. Records what it is
    called with.
    """

    def __init__(self):
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

    def train(self, trained, teachers, states, steps):
        thetas, _, slots, slot_steps = trained
        teacher_thetas, multipliers = teachers
        for step in steps:
            self.step_tasks.extend(step.tasks)
            self.step_seeds.extend(tuple(np.asarray(s)) for s in step.seeds)
            thetas = thetas + multipliers[:, None] * teacher_thetas[:, :1]
            slots = {"updates": slots["updates"] + 1.0}
            slot_steps = slot_steps + 1
        return (thetas, thetas, slots, slot_steps), thetas[:, 0], states


@dataclasses.dataclass
class Population:
    """An experiment, as far as a generation looks at it, on fake devices."""

    schedule: Schedule = SCHEDULE
    teachers: object = SelfTraining()
    selection: object = Elitist()
    mutation: object = NoMutation()
    seed: int = 0
    mixture: object = FakeMixture()
    devices: FakeDevices = dataclasses.field(default_factory=FakeDevices)

    def advance(self, members, inner_states, generation, memory=None):
        """The state and the report after a generation.

        Without a memory, teachers remember the members as begun.
        """
        if memory is None:
            memory = self.teachers.begin(members, members)
        state = PopulationState(
            generation=generation,
            seconds=0.0,
            members=members,
            memory=memory,
            inner_states=inner_states,
            task_steps=np.zeros(2, np.int64),
            history=[],
        )
        return next_generation(self, self.devices, state)

    def score(self, members, generation):
        return scored(self, self.devices, members, generation)


def members_of(values, **changes):
    """Members with these thetas, scored 0.5 above them."""
    thetas = np.array(values, np.float32)[:, None]
    members = Members.initial(
        thetas, {"updates": np.full(COUNT, 4.0)}, np.arange(COUNT)
    )
    scores = thetas[:, 0] + 0.5
    return dataclasses.replace(members, scores=scores, **changes)


#: All below zero: every teacher lowers a theta, so that children are better.
FALLING = members_of([-5.0, -1.0, -8.0, -3.0, -2.0, -7.0, -4.0, -6.0])
INNER_STATES = [np.arange(COUNT) * 11, np.arange(COUNT) * 13]


def test_members_get_the_scores_of_the_devices():
    population = Population()
    members = population.score(FALLING, generation=0)
    ((thetas, seed),) = population.devices.scored
    np.testing.assert_array_equal(thetas, FALLING.thetas)
    offset = population.devices.offset(seed)
    np.testing.assert_array_equal(members.scores, FALLING.thetas[:, 0] + offset)
    np.testing.assert_array_equal(members.train_losses, 10.0 * members.scores)
    np.testing.assert_array_equal(members.ids, FALLING.ids)
    # The score is the weighted mean of the scores on each task.
    apart = members.task_scores - members.scores[:, None]
    np.testing.assert_array_equal(apart, [[3.0, -1.0]] * COUNT)


def test_the_number_of_an_outer_step_determines_its_task():
    population = Population()
    steps = [
        population.advance(FALLING, INNER_STATES, g)[0].task_steps
        for g in range(2)
    ]
    assert population.devices.step_tasks == [0, 1, 0, 1, 0, 1]
    np.testing.assert_array_equal(steps, [[2, 1], [1, 2]])


def test_scoring_problems_change_when_they_are_redrawn():
    population = Population(
        schedule=dataclasses.replace(SCHEDULE, redraw_every=3)
    )
    for generation in range(9):
        population.score(FALLING, generation)
    seeds = [seed for _, seed in population.devices.scored]
    assert seeds[0::3] == seeds[1::3] == seeds[2::3]
    assert len(set(seeds)) == 3


def test_the_worst_start_from_copies_of_the_best():
    state, report = Population().advance(FALLING, INNER_STATES, generation=0)
    parents = report.children.parents
    worst, best = [1, 4], {2, 5}  # Scores -0.5, -1.5 and -7.5, -6.5.
    assert set(parents[worst]) <= best
    others = [0, 2, 3, 5, 6, 7]
    np.testing.assert_array_equal(parents[others], others)
    # Their inner runs are copied with them.
    for inner, before in zip(state.inner_states, INNER_STATES, strict=True):
        np.testing.assert_array_equal(inner, before[parents])


def test_teachers_update_their_children():
    state, report = Population().advance(FALLING, INNER_STATES, generation=0)
    for i in range(COUNT):
        start = FALLING.thetas[report.children.parents[i], 0]
        teacher = FALLING.thetas[report.teacher_ids[i], 0]
        expected = start + SCHEDULE.outer_steps * teacher
        assert state.members.thetas[i, 0] == expected
        assert report.losses[i] == expected
    assert set(report.teacher_ids) <= {2, 5}
    assert report.teacher_ids[2] == 2  # The best teaches itself.


def test_only_a_better_child_takes_its_members_place():
    values = [-5.0, -1.0, -8.0, -3.0, -2.0, -7.0, -4.0, -6.0]
    population = Population(
        teachers=FrozenTeachers(),
        schedule=dataclasses.replace(SCHEDULE, outer_steps=1),
    )
    offset = population.score(FALLING, 0).scores[0] - FALLING.thetas[0, 0]
    members = members_of(values)
    members.scores = members.thetas[:, 0] + offset
    rising = {  # Teachers that make every member worse.
        "thetas": np.ones([COUNT, 1], np.float32),
        "ids": np.arange(COUNT),
    }
    state, report = population.advance(members, INNER_STATES, 0, memory=rising)
    # Copies of the best end one step worse than their parents. That is still
    # better than the worst, whose places they take.
    np.testing.assert_array_equal(np.flatnonzero(report.accepted), [1, 4])
    for i in range(COUNT):
        if report.accepted[i]:
            parent = report.children.parents[i]
            assert state.members.ids[i] == report.children.ids[i]
            assert state.members.parents[i] == parent
            assert state.members.thetas[i, 0] == members.thetas[parent, 0] + 1.0
        else:
            assert state.members.ids[i] == members.ids[i]
            assert state.members.thetas[i, 0] == members.thetas[i, 0]
        assert state.members.scores[i] <= members.scores[i]


def test_redraw_scores_everyone_again_before_selection():
    population = Population()
    stale = dataclasses.replace(FALLING, scores=np.zeros(COUNT, np.float32))
    state, report = population.advance(
        stale, INNER_STATES, SCHEDULE.redraw_every
    )
    (rescored, new_seed), (_, child_seed) = population.devices.scored
    np.testing.assert_array_equal(rescored, FALLING.thetas)
    assert new_seed == child_seed
    kept = ~report.accepted
    np.testing.assert_array_equal(
        state.members.scores[kept],
        FALLING.thetas[kept, 0] + population.devices.offset(new_seed),
    )


@pytest.mark.parametrize("generation", [0, 1, 3, 5])
def test_between_redraws_only_children_are_scored(generation):
    population = Population()
    population.advance(FALLING, INNER_STATES, generation)
    assert len(population.devices.scored) == 1


def ancestry(report):
    """Who came from whom, and was taught by whom."""
    children = report.children
    return [
        *(children.ids.tolist(), children.parents.tolist()),
        *(report.teacher_ids.tolist(), children.multipliers.tolist()),
        *(children.scores.tolist(), report.accepted.tolist()),
    ]


def test_a_generation_follows_from_seed_and_number():
    first, again = Population(), Population()
    reports = [
        population.advance(FALLING, INNER_STATES, generation=5)[1]
        for population in (first, again)
    ]
    assert ancestry(reports[0]) == ancestry(reports[1])
    assert first.devices.step_seeds == again.devices.step_seeds

    def draws(report):
        return [*report.children.parents, *report.teacher_ids]

    for _, other in (
        Population(seed=1).advance(FALLING, INNER_STATES, generation=5),
        Population().advance(FALLING, INNER_STATES, generation=6),
    ):
        assert draws(other) != draws(reports[0])


def test_every_outer_step_and_every_scoring_has_its_own_seed():
    population = Population()
    members, states = FALLING, INNER_STATES
    for generation in range(6):
        state, _ = population.advance(members, states, generation)
        members, states = state.members, state.inner_states
    steps = population.devices.step_seeds
    scorings = {seed for _, seed in population.devices.scored}
    assert len(steps) == 6 * SCHEDULE.outer_steps
    assert len(set(steps)) == len(steps)
    assert len(scorings) == 3
    assert not scorings & set(steps)


def test_children_have_new_ids():
    population = Population()
    members, states = FALLING, INNER_STATES
    first_child = SCHEDULE.candidates * COUNT
    for generation in range(3):
        state, report = population.advance(members, states, generation)
        start = first_child + generation * COUNT
        assert report.children.ids.tolist() == list(range(start, start + COUNT))
        members, states = state.members, state.inner_states


TEACHERS = [
    SelfTraining(fresh=0.5),
    League(fresh=0.5),
    FrozenTeachers(fresh=0.5),
    FixedTeacher(teacher=get("adam"), fresh=0.5),
]


@pytest.mark.parametrize("teachers", TEACHERS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("fresh, starts", [(0.0, {33}), (1.0, {3})])
def test_slots_start_anew_or_are_kept(teachers, fresh, starts):
    members = dataclasses.replace(
        FALLING, slot_steps=np.full(COUNT, 30, np.int32)
    )
    population = Population(
        selection=NoSelection(),
        teachers=dataclasses.replace(teachers, fresh=fresh),
    )
    after = population.advance(members, INNER_STATES, 0)[0].members
    assert set(after.slot_steps.tolist()) == starts
    assert after.slot_steps.dtype == np.int32
    np.testing.assert_array_equal(after.slots["updates"], 4.0 + 3.0)


def test_chance_decides_whose_slots_start_anew():
    population = Population(selection=NoSelection(), teachers=TEACHERS[0])
    members = dataclasses.replace(
        FALLING, slot_steps=np.full(COUNT, 30, np.int32)
    )
    steps = [
        population.advance(members, INNER_STATES, g)[0].members.slot_steps
        for g in (0, 1)
    ]
    assert set(np.ravel(steps)) == {3, 33}
    assert np.any(steps[0] != steps[1])


def test_a_fixed_teacher_is_no_member_of_the_population():
    _, report = Population(teachers=TEACHERS[3]).advance(
        FALLING, INNER_STATES, 0
    )
    assert set(report.teacher_ids) == {-1}


def test_no_selection_takes_every_child():
    state, report = Population(selection=NoSelection()).advance(
        FALLING, INNER_STATES, 0
    )
    assert report.accepted.all()
    assert state.inner_states is INNER_STATES  # Nothing to copy.


def test_winner_take_all_copies_the_best():
    state, report = Population(selection=WinnerTakeAll()).advance(
        FALLING, INNER_STATES, 0
    )
    assert set(report.children.parents) == {2}
    for inner, before in zip(state.inner_states, INNER_STATES, strict=True):
        np.testing.assert_array_equal(inner, before[2])


def test_children_have_mutated_multipliers():
    multipliers = np.full(COUNT, 2.0)
    members = dataclasses.replace(FALLING, multipliers=multipliers)
    population = Population(mutation=LogNormal(), selection=NoSelection())
    state, report = population.advance(members, INNER_STATES, 0)
    mutated = report.children.multipliers
    np.testing.assert_array_equal(state.members.multipliers, mutated)
    assert len(set(mutated)) > 1
    np.testing.assert_array_equal(members.multipliers, 2.0)


def test_a_league_learns_from_its_students():
    population = Population(teachers=League(size=3))
    begun = population.teachers.begin(FALLING, FALLING)
    state, report = population.advance(FALLING, INNER_STATES, 0)
    # The best of FALLING are those that lower a theta most.
    assert set(report.teacher_ids) <= {2, 5, 7}
    scores = np.where(report.accepted, report.children.scores, np.inf)
    best = report.children.ids[np.argmin(scores)]
    assert best in state.memory["ids"]  # It has entered the league.
    assert begun["ids"].tolist() == [2, 5, 7]  # Not changed in place.


def test_children_of_a_league_take_their_teachers_multiplier():
    population = Population(teachers=League(size=2), selection=NoSelection())
    memory = population.teachers.begin(FALLING, FALLING)
    memory["multipliers"] = np.array([0.5, np.nan])
    members = dataclasses.replace(FALLING, multipliers=np.full(COUNT, 2.0))
    _, report = population.advance(members, INNER_STATES, 0, memory)
    first, second = memory["ids"]
    # The second has had no student yet: its children take their parents'.
    expected = {first: 0.5, second: 2.0}
    assert set(report.teacher_ids) == set(expected)
    for teacher, multiplier in zip(
        report.teacher_ids, report.children.multipliers, strict=True
    ):
        assert multiplier == expected[teacher]


def test_members_are_not_changed_in_place():
    before = {k: np.copy(v) for k, v in vars(FALLING).items() if k != "slots"}
    Population(mutation=LogNormal()).advance(FALLING, INNER_STATES, 0)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(FALLING, name), value)


def test_history_and_clock_are_left_to_the_trainer():
    population = Population()
    row = {"generation": 3}
    state = PopulationState(
        generation=3,
        seconds=2.5,
        members=FALLING,
        memory={},
        inner_states=INNER_STATES,
        task_steps=np.array([4, 5]),
        history=[row],
    )
    after, _ = next_generation(population, population.devices, state)
    assert (after.generation, after.seconds) == (4, 2.5)
    assert after.history == [row]
    np.testing.assert_array_equal(after.task_steps, [4 + 1, 5 + 2])
    np.testing.assert_array_equal(state.task_steps, [4, 5])


def test_an_outer_step_of_several_tasks_has_a_seed_for_each():
    schedule = dataclasses.replace(SCHEDULE, tasks_per_step=2)
    population = Population(schedule=schedule)
    state, _ = population.advance(FALLING, INNER_STATES, generation=0)
    devices = population.devices
    assert devices.step_tasks == [0, 1, 1, 0, 0, 1]
    np.testing.assert_array_equal(state.task_steps, [3, 3])
    assert len(set(devices.step_seeds)) == 6
    # The first of each step is what it is for one task per step.
    alone = Population()
    alone.advance(FALLING, INNER_STATES, generation=0)
    assert devices.step_seeds[::2] == alone.devices.step_seeds

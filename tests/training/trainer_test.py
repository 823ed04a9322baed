"""The population trainer: histories, determinism, elitism, ancestry."""

import dataclasses
import io

import keras
import numpy as np
import pytest

from keras_lopt import training
from keras_lopt.population import Elitist, NoSelection, WinnerTakeAll
from keras_lopt.training import PopulationTrainer
from tests import tiny

GENERATIONS = 7  # With redraws after 3 and 6.


@dataclasses.dataclass
class Recording:
    """A trainer and what it was after every generation."""

    trainer: PopulationTrainer
    members: list  # `Members` after generation 0, 1, ...
    child_rows: list  # rows of members.csv of generation 1, 2, ...


def record(trainer, generations=GENERATIONS):
    members, rows = [], []

    def keep(epoch, logs):
        members.append(trainer.members)
        if epoch:
            rows.append(trainer.child_rows)

    callback = keras.callbacks.LambdaCallback(on_epoch_end=keep)
    trainer.fit(generations, [callback])
    return Recording(trainer, members, rows)


@pytest.fixture(scope="module")
def recording():
    return record(tiny.trainer())


def assert_same(trainer, other):
    history = tiny.without_clock(trainer.history)
    assert history == tiny.without_clock(other.history)
    assert tiny.leaves(tiny.arrays(trainer)) == tiny.leaves(tiny.arrays(other))


def test_the_same_seed_gives_the_same_history_and_members(recording):
    again = tiny.trainer()
    again.fit(GENERATIONS)
    assert_same(again, recording.trainer)


def test_progress_is_shown_unless_it_is_off_or_given(capsys):
    trainer = tiny.trainer()
    trainer.fit(0)
    text = capsys.readouterr().out
    assert "2 candidates of members are scored" in text
    assert "generation 0/0" in text
    trainer.fit(1, verbose=0)
    assert capsys.readouterr().out == ""
    stream = io.StringIO()
    trainer.fit(2, [training.Progress(stream)])
    assert capsys.readouterr().out == ""
    assert stream.getvalue().startswith("generation 2/2")
    with pytest.raises(ValueError, match="`verbose` must be one of"):
        trainer.fit(3, verbose="loud")


def test_another_seed_is_another_experiment(recording):
    other = tiny.trainer(seed=1)
    other.fit(1)
    ours = recording.members[1]
    assert not {t.tobytes() for t in other.members.thetas} & {
        t.tobytes() for t in ours.thetas
    }
    assert not set(other.members.scores) & set(ours.scores)
    for column in ("best_score", "mean_outer_loss"):
        row, our_row = other.history[1], recording.trainer.history[1]
        assert row[column] != our_row[column]


def test_fit_in_parts_is_the_same_as_at_once(recording):
    parts = tiny.trainer()
    for generations in (0, 2, 2, 3, GENERATIONS):
        parts.fit(generations)
        assert parts.generation == generations
    assert_same(parts, recording.trainer)


def test_the_history_counts_generations_and_steps(recording):
    history = recording.trainer.history
    steps = recording.trainer.experiment.schedule.outer_steps
    generations = list(range(GENERATIONS + 1))
    assert [row["generation"] for row in history] == generations
    assert [row["outer_step"] for row in history] == [
        generation * steps for generation in generations
    ]
    for column in ("seconds", "inner_steps"):
        values = [row[column] for row in history]
        assert values == sorted(set(values))


def test_the_history_has_statistics_of_the_members(recording):
    history = recording.trainer.history
    for row, members in zip(history[1:], recording.members[1:], strict=True):
        assert row["best_score"] == members.scores.min()
        assert row["median_score"] == np.median(members.scores)
        assert row["worst_score"] == members.scores.max()
        assert row["best_id"] == members.ids[members.scores.argmin()]
        assert row["inner_steps_per_second"] == (
            row["inner_steps"] / row["seconds"]
        )


def test_inner_steps_are_those_that_ran(monkeypatch):
    trainer = tiny.trainer()
    experiment, done = trainer.experiment, [0]

    def counting(function, cost):
        def call(*args):
            done[0] += cost
            return function(*args)

        return call

    steps, scoring = (
        experiment.inner_steps_per_outer_step,
        experiment.inner_steps_per_scoring,
    )
    # Pairs * 2 sides * truncation, problems * horizon, for every member.
    assert (steps, scoring) == (4 * 2 * 2 * 2, 4 * 1 * 4)
    (task,) = trainer.devices.tasks
    for name, cost in (("estimate", steps), ("score", scoring)):
        function = counting(getattr(task, name), cost)
        monkeypatch.setattr(task, name, function)
    ran = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ran.append(done[0])
    )
    history = trainer.fit(GENERATIONS, [callback])
    assert [row["inner_steps"] for row in history] == ran


def test_no_score_gets_worse_between_redraws(recording):
    redraws = {g for g in range(1, GENERATIONS) if g % 3 == 0}
    accepted = 0
    for generation in range(1, GENERATIONS + 1):
        if generation - 1 in redraws:
            continue
        before, after = recording.members[generation - 1 : generation + 1]
        assert np.all(after.scores <= before.scores)
        assert after.scores.min() <= before.scores.min()
        accepted += np.sum(after.ids != before.ids)
    assert accepted  # Otherwise this shows nothing.


class NoChildren(Elitist):
    """Selection that refuses every child."""

    def accepted(self, scores, child_scores):
        return np.zeros(len(scores), bool)


def test_redraw_scores_everyone_on_new_problems():
    members = record(tiny.trainer(selection=NoChildren())).members
    assert len({tuple(m.ids) for m in members}) == 1  # Never another theta.
    scores = [m.scores for m in members]
    drawn = [scores[0:4], scores[4:7], scores[7:]]
    for same in drawn:
        assert len({s.tobytes() for s in same}) == 1
    for old, new in zip(drawn, drawn[1:]):
        assert not np.any(old[0] == new[0])


def test_children_descend_from_members_and_have_new_ids(recording):
    schedule = recording.trainer.experiment.schedule
    seen = set(range(schedule.candidates * schedule.population))
    have_lived = set()
    for generation, rows in enumerate(recording.child_rows, start=1):
        before, after = recording.members[generation - 1 : generation + 1]
        ids = [row["id"] for row in rows]
        assert not set(ids) & seen
        assert len(set(ids)) == len(ids) == schedule.population
        seen.update(ids)
        have_lived.update(before.ids)
        for i, row in enumerate(rows):
            assert row["generation"] == generation
            assert row["parent"] in before.ids
            assert row["teacher"] in have_lived
            survivor = row["id"] if row["accepted"] else before.ids[i]
            assert after.ids[i] == survivor
        fraction = np.mean([row["accepted"] for row in rows])
        history = recording.trainer.history[generation]
        assert history["accepted_fraction"] == fraction


def test_members_are_the_best_candidates(recording):
    one = tiny.trainer(
        schedule=dataclasses.replace(tiny.SCHEDULE, candidates=1)
    )
    two, three = (
        tiny.trainer(schedule=dataclasses.replace(tiny.SCHEDULE, candidates=n))
        for n in (2, 3)
    )
    for trainer in (one, two, three):
        trainer.fit(0)
    # Row 0 shows a random population; the choice comes after it.
    columns = ("best_score", "median_score", "worst_score", "best_id")
    for trainer in (two, three):
        for column in columns:
            assert trainer.history[0][column] == one.history[0][column]
    assert two.members.scores.tolist() == sorted(two.members.scores)
    assert np.all(two.members.scores <= np.sort(one.members.scores))
    assert np.all(three.members.scores <= two.members.scores)
    assert set(three.members.ids) <= set(range(12))
    assert set(three.members.parents) == {-1}


def test_best_theta_is_of_the_lowest_score(recording):
    trainer = recording.trainer
    theta = trainer.best_theta()
    trainer.experiment.rule.check_theta(theta)
    packed = trainer.experiment.theta_vector.pack(theta)
    best = trainer.members.scores.argmin()
    np.testing.assert_array_equal(packed, trainer.members.thetas[best])


@pytest.mark.parametrize("selection", [NoSelection(), WinnerTakeAll()])
def test_without_elitism_every_child_is_accepted(selection):
    trainer = tiny.trainer(selection=selection)
    history = trainer.fit(2)
    assert [row["accepted_fraction"] for row in history] == [1.0] * 3
    rows = trainer.child_rows
    assert [row["id"] for row in rows] == trainer.members.ids.tolist()


def test_compilation_is_not_training_time():
    trainer = tiny.trainer()
    assert trainer.compile_seconds > 0.0
    assert trainer.state.seconds == 0.0
    compiled = trainer.compile_seconds
    trainer.fit(1)
    assert trainer.compile_seconds == compiled
    assert trainer.state.seconds == trainer.history[-1]["seconds"] > 0.0


@pytest.mark.parametrize("generations", [-1, 2.0, "3", None])
def test_refuses_bad_numbers_of_generations(generations):
    trainer = tiny.trainer()
    with pytest.raises(ValueError) as caught:
        trainer.fit(generations)
    assert str(caught.value) == (
        "`generations` must be an integer >= 0. "
        f"Received: generations={generations!r}"
    )
    assert trainer.history == []


def test_nothing_is_compiled_before_it_is_needed():
    trainer = PopulationTrainer(tiny.experiment())
    assert trainer.devices is None and trainer.state is None
    assert (trainer.generation, trainer.outer_step) == (0, 0)
    assert trainer.history == trainer.child_rows == []


def test_frozen_leaves_stay_as_they_begin():
    experiment = tiny.experiment(frozen=("w0",))
    trainer = PopulationTrainer(experiment)
    trainer.fit(generations=2)
    begun = [experiment.initial_theta(i) for i in range(8)]
    for vector in trainer.members.thetas:
        theta = experiment.theta_vector.unpack_numpy(vector)
        same = {
            leaf: any(np.array_equal(theta[leaf], b[leaf]) for b in begun)
            for leaf in ("w0", "w1")
        }
        assert same == {"w0": True, "w1": False}


def test_bfloat16_scores_are_those_of_float32_within_rounding():
    losses = {}
    for policy in ("float32", "mixed_bfloat16"):
        trainer = PopulationTrainer(
            tiny.experiment(task=tiny.task.__wrapped__, dtype_policy=policy)
        )
        trainer.fit(generations=1)
        losses[policy] = trainer.members.scores
    differences = np.abs(losses["mixed_bfloat16"] - losses["float32"])
    assert 0.0 < np.max(differences) < 0.05


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_score_may_be_of_training_losses(weight):
    schedule = dataclasses.replace(tiny.SCHEDULE, score_train_weight=weight)
    trainer = PopulationTrainer(tiny.experiment(schedule=schedule))
    trainer.fit(generations=0)
    members = trainer.members
    are_equal = np.array_equal(members.scores, members.train_losses)
    assert are_equal == (weight == 1.0)

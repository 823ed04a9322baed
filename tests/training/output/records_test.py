"""The rows of history.csv and members.csv."""

import dataclasses
import types

import numpy as np
import pytest

from keras_lopt.population import Members
from keras_lopt.training import Schedule
from keras_lopt.training.generation import Report
from keras_lopt.training.output import records

REQUIRED = [
    "generation",
    "outer_step",
    "best_score",
    "median_score",
    "worst_score",
    "accepted_fraction",
    "inner_steps",
    "seconds",
]
#: After generation 3: 6 outer steps of 50 inner steps each; 5 scorings, of 2
#: candidates and 3 generations, of 40 each.
CLOCK = {"generation": 3, "outer_step": 6, "inner_steps": 500, "seconds": 4.0}
#: Losses of the last outer step.
LOSSES = np.array([1.0, 2.0, 3.0, 6.0], np.float32)


@pytest.fixture
def members():
    """Four scored members, the third the best."""
    blank = Members.initial(np.zeros([4, 2], np.float32), {}, np.arange(4))
    return dataclasses.replace(
        blank,
        scores=np.array([4.0, 2.0, 1.0, 8.0], np.float32),
        train_losses=np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        task_scores=np.array([[8, 0], [2, 2], [0.5, 1.5], [8, 8]], np.float32),
        multipliers=np.array([1.0, 2.0, 16.0, 4.0]),
        ids=np.array([10, 11, 12, 13]),
    )


def experiment(tasks=("a",), redraw_every=20):
    """An experiment as far as its rows depend on it."""
    return types.SimpleNamespace(
        schedule=Schedule(
            candidates=2, outer_steps=2, redraw_every=redraw_every
        ),
        mixture=types.SimpleNamespace(
            tasks=[types.SimpleNamespace(name=name) for name in tasks]
        ),
        inner_steps_per_outer_step=50,
        inner_steps_per_scoring=40,
    )


def generation_row(members, tasks=("a",), task_steps=(6,)):
    """The row of generation 3."""
    state = types.SimpleNamespace(
        generation=3, seconds=4.0, task_steps=np.array(task_steps)
    )
    accepted = np.array([True, False, False, False])
    return records.generation_row(
        experiment(tasks), state, members, accepted, LOSSES
    )


def task_columns(row):
    """The columns of a row that are about one task each."""
    return {name: value for name, value in row.items() if "/" in name}


def test_generation_row(members):
    row = generation_row(members)
    assert row == {
        **CLOCK,
        "best_score": 1.0,
        "median_score": 3.0,
        "worst_score": 8.0,
        "best_train_loss": pytest.approx(0.3),
        "accepted_fraction": 0.25,
        "mean_outer_loss": 3.0,
        "best_multiplier": 16.0,
        "best_id": 12,
        "inner_steps_per_second": 125.0,
    }
    assert set(REQUIRED) <= set(row)
    assert {type(value) for value in row.values()} == {int, float}  # JSON


@pytest.mark.parametrize(
    "generation, scorings", [(0, 2), (1, 3), (3, 5), (4, 7), (6, 9), (7, 11)]
)
def test_inner_steps_count_the_redraws(generation, scorings):
    """Everyone is scored again in the generation after a redraw."""
    steps = records.inner_steps(experiment(redraw_every=3), generation)
    assert steps == 2 * generation * 50 + scorings * 40


def test_each_task_has_a_score_and_a_share(members):
    columns = task_columns(generation_row(members, ["a", "b"], [3, 1]))
    assert columns == {
        "score/a": 0.5,
        "score/b": 1.5,
        "share/a": 0.75,
        "share/b": 0.25,
    }
    assert {type(value) for value in columns.values()} == {float}


def test_before_any_outer_step_no_task_has_a_share(members):
    columns = task_columns(generation_row(members, ["a", "b"], [0, 0]))
    assert (columns["share/a"], columns["share/b"]) == (0.0, 0.0)


def test_a_task_alone_has_no_columns(members):
    assert task_columns(generation_row(members, ["a"], [4])) == {}


def test_child_rows(members):
    report = Report(
        children=dataclasses.replace(
            members,
            ids=np.array([20, 21, 22, 23]),
            parents=np.array([10, 11, 12, 12]),
            scores=np.array([3.0, 2.5, 0.5, 9.0], np.float32),
        ),
        teacher_ids=np.array([12, -1, 12, 10]),
        accepted=np.array([True, False, True, False]),
        losses=LOSSES,
    )
    rows = records.child_rows(4, report)
    assert rows == [
        _row(id=20, parent=10, teacher=12, m=1.0, score=3.0, accepted=1),
        _row(id=21, parent=11, teacher=-1, m=2.0, score=2.5, accepted=0),
        _row(id=22, parent=12, teacher=12, m=16.0, score=0.5, accepted=1),
        _row(id=23, parent=12, teacher=10, m=4.0, score=9.0, accepted=0),
    ]


def _row(m, **columns):
    return {"generation": 4, "multiplier": m, **columns}

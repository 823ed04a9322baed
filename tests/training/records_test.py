"""The rows of history.csv and members.csv."""

import dataclasses

import numpy as np
import pytest

from keras_lopt.population import Members
from keras_lopt.training import records

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
CLOCK = {"generation": 3, "outer_step": 6, "inner_steps": 500, "seconds": 4.0}


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


def test_generation_row(members):
    row = records.generation_row(
        CLOCK,
        members,
        accepted=np.array([True, False, False, False]),
        losses=np.array([1.0, 2.0, 3.0, 6.0], np.float32),
    )
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


def test_columns_of_tasks(members):
    columns = records.task_columns(["a", "b"], members, np.array([3, 1]))
    assert columns == {
        "score/a": 0.5,
        "score/b": 1.5,
        "share/a": 0.75,
        "share/b": 0.25,
    }
    assert {type(value) for value in columns.values()} == {float}


def test_before_any_outer_step_no_task_has_a_share(members):
    columns = records.task_columns(["a", "b"], members, np.zeros(2, np.int64))
    assert (columns["share/a"], columns["share/b"]) == (0.0, 0.0)


def test_a_task_alone_has_no_columns(members):
    assert records.task_columns(["a"], members, np.array([4])) == {}


def test_child_rows(members):
    children = dataclasses.replace(
        members,
        ids=np.array([20, 21, 22, 23]),
        parents=np.array([10, 11, 12, 12]),
        scores=np.array([3.0, 2.5, 0.5, 9.0], np.float32),
    )
    rows = records.child_rows(
        4,
        children,
        trainers=np.array([12, -1, 12, 10]),
        accepted=np.array([True, False, True, False]),
    )
    assert rows == [
        _row(id=20, parent=10, trainer=12, m=1.0, score=3.0, accepted=1),
        _row(id=21, parent=11, trainer=-1, m=2.0, score=2.5, accepted=0),
        _row(id=22, parent=12, trainer=12, m=16.0, score=0.5, accepted=1),
        _row(id=23, parent=12, trainer=10, m=4.0, score=9.0, accepted=0),
    ]


def _row(m, **columns):
    return {"generation": 4, "multiplier": m, **columns}

"""How replicas share members and pairs."""

import dataclasses

import numpy as np
import pytest

from keras_lopt.estimators import PES, EstimatorState
from keras_lopt.training.devices.division import Division
from tests import tiny


def division_of(replicas, pairs=4, problems=8, population=4):
    estimator = PES(pairs=pairs, horizon=4, truncation=2)
    schedule = dataclasses.replace(
        tiny.SCHEDULE, population=population, score_problems=problems
    )
    return Division.of(
        replicas, tiny.experiment(estimator=estimator, schedule=schedule)
    )


@pytest.mark.parametrize(
    "replicas, expected",
    [
        (1, Division(4, 4, 8, 1, 1)),
        (2, Division(4, 2, 4, 1, 2)),
        (4, Division(4, 1, 2, 1, 4)),
        (8, Division(2, 1, 2, 2, 4)),
        (16, Division(1, 1, 2, 4, 4)),
    ],
)
def test_pairs_are_divided_before_members(replicas, expected):
    assert division_of(replicas) == expected


def test_members_are_divided_where_the_problems_are_too_few():
    assert division_of(4, problems=2) == Division(2, 2, 1, 2, 2)


@pytest.mark.parametrize(
    "replicas, work",
    [(32, {}), (3, {}), (2, {"pairs": 3, "population": 1})],
)
def test_refuses_work_that_cannot_be_divided(replicas, work):
    message = f"must be divisible by the number of replicas, {replicas}, or .*"
    with pytest.raises(ValueError, match=message + "Received: pairs="):
        division_of(replicas, **work)


def test_every_replica_has_its_own_share():
    division = division_of(8)
    shares = [
        (division.first_member(i), division.first_pair(i)) for i in range(8)
    ]
    assert shares == [(m, n) for m in (0, 2) for n in range(4)]
    assert [division.first_problem(i) for i in range(4)] == [0, 2, 4, 6]


@pytest.fixture
def state(rng):
    """An `EstimatorState` of 4 members and 4 pairs, all numbers different."""
    return EstimatorState(
        inner={"w": rng.normal(size=(4, 4, 2, 3))},
        noise=rng.normal(size=(4, 4, 5)),
        seeds=rng.integers(0, 99, (4, 2)),
        horizons=np.arange(4),
        steps=np.arange(4),
        ends=np.arange(4),
        squares=rng.normal(size=4),
    )


@pytest.mark.parametrize("replicas", [1, 2, 4, 8, 16])
def test_join_inverts_part(state, replicas):
    division = division_of(replicas)
    parts = [division.part(state, i) for i in range(replicas)]
    assert parts[-1].noise.shape == (division.members, division.pairs, 5)
    np.testing.assert_array_equal(
        parts[-1].squares, state.squares[-division.members :]
    )
    joined = division.join(parts)
    for name in EstimatorState._fields:
        if name != "inner":
            np.testing.assert_array_equal(
                getattr(joined, name), getattr(state, name)
            )
    np.testing.assert_array_equal(joined.inner["w"], state.inner["w"])

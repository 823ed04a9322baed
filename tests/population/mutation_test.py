"""Mutation of update multipliers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lopt.population import Grid, LogNormal, NoMutation, Perturb

seeds = st.integers(0, 2**32 - 1)
multipliers = st.lists(st.floats(0.1, 8.0), min_size=1, max_size=12)
properties = settings(database=None, deadline=None, max_examples=60)


@properties
@given(values=multipliers.map(np.array), seed=seeds)
def test_log_normal_stays_in_its_range(values, seed):
    before = values.copy()
    children = LogNormal().mutate(values, np.random.default_rng(seed))
    assert children.shape == values.shape
    assert children.min() >= 0.1 and children.max() <= 8.0
    np.testing.assert_array_equal(values, before)


def test_log_normal_spreads_in_powers_of_two(rng):
    mutation = LogNormal(spread=0.5, low=1e-9, high=1e9)
    powers = np.log2(mutation.mutate(np.full(20_000, 4.0), rng)) - 2.0
    assert abs(powers.mean()) < 4 * 0.5 / np.sqrt(20_000)
    assert abs(powers.std() - 0.5) < 0.02


def test_log_normal_mutates_members_independently(rng):
    children = LogNormal().mutate(np.ones(16), rng)
    assert len(set(children[(children > 0.1) & (children < 8.0)])) > 8


def test_without_spread_nothing_changes(rng):
    values = np.array([0.5, 2.0])
    np.testing.assert_array_equal(
        LogNormal(spread=0).mutate(values, rng), values
    )
    np.testing.assert_array_equal(NoMutation().mutate(values, rng), values)


@properties
@given(values=multipliers.map(np.array), seed=seeds)
def test_perturb_multiplies_by_its_factors(values, seed):
    children = Perturb().mutate(values, np.random.default_rng(seed))
    factors = children / values
    assert np.all(np.isclose(factors, 0.8) | np.isclose(factors, 1.2))


def test_perturb_draws_all_of_its_factors(rng):
    children = Perturb(factors=(0.5, 1.0, 3.0)).mutate(np.ones(100), rng)
    assert set(children) == {0.5, 1.0, 3.0}


def test_a_grid_gives_every_place_its_value(rng):
    grid = Grid(values=(0.1, 1.0, 8.0))
    for values in (np.ones(7), np.full(7, 5.0)):
        children = grid.mutate(values, rng)
        np.testing.assert_array_equal(
            children, [0.1, 1.0, 8.0, 0.1, 1.0, 8.0, 0.1]
        )
    np.testing.assert_array_equal(grid.mutate(np.ones(2), rng), [0.1, 1.0])


@pytest.mark.parametrize(
    "config, message",
    [
        ({"low": 0.0}, r"`low` must be a finite number in \(0, inf\).*=0.0"),
        ({"low": float("nan")}, "`low` must be a finite.*low=nan"),
        ({"low": 9.0}, "`low` must be <= `high`.*low=9.0, high=8.0"),
        ({"high": float("inf")}, "`high` must be a finite.*high=inf"),
        ({"high": "8"}, "`high` must be a finite.*high='8'"),
        ({"spread": -1.0}, r"`spread` must be .* in \[0, inf\).*spread=-1.0"),
        ({"spread": float("nan")}, "`spread` must be .*spread=nan"),
        ({"spread": float("inf")}, "`spread` must be .*spread=inf"),
        ({"spread": True}, "`spread` must be .*spread=True"),
    ],
)
def test_log_normal_refuses_bad_ranges(config, message):
    with pytest.raises(ValueError, match=message):
        LogNormal(**config)


@pytest.mark.parametrize(
    "values",
    [
        (),
        (0.0, 1.2),
        (0.8, -1.2),
        (1.0, float("nan")),
        (float("inf"),),
        ("0.8", 1.2),
        (True,),
        "12",
        1.2,
        None,
    ],
)
@pytest.mark.parametrize(
    "kind, field", [(Perturb, "factors"), (Grid, "values")]
)
def test_refuses_factors_that_are_not_positive(kind, field, values):
    with pytest.raises(ValueError) as caught:
        kind(**{field: values})
    assert str(caught.value) == (
        f"`{field}` must be one or more finite numbers in (0, inf), as a "
        f"tuple. Received: {field}={values!r}"
    )

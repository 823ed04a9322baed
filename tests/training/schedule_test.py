"""`Schedule`: integers of at least one, a rate, and horizons."""

import dataclasses

import pytest

from keras_lopt.training import Schedule

FIELDS = [
    field.name for field in dataclasses.fields(Schedule) if field.type is int
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, -1, 2.0, "8", None, True])
def test_refuses_all_but_positive_integers(field, value):
    message = f"`{field}` must be an integer >= 1. Received: {field}={value!r}"
    with pytest.raises(ValueError) as caught:
        Schedule(**{field: value})
    assert str(caught.value) == message


@pytest.mark.parametrize("field", FIELDS)
def test_accepts_one(field):
    assert getattr(Schedule(**{field: 1}), field) == 1


@pytest.mark.parametrize("value", [0.0, 1.5, -0.1, "0.1", None, True])
def test_refuses_rates_outside_0_to_1(value):
    message = r"`averaging` must be a finite number in \(0, 1\]. Received: "
    with pytest.raises(ValueError, match=f"{message}averaging={value!r}"):
        Schedule(averaging=value)


@pytest.mark.parametrize("value", [1.1, -0.1, "0.1", None, True])
def test_refuses_train_weights_that_are_no_share(value):
    message = r"`score_train_weight` must be a finite number in \[0, 1\]"
    with pytest.raises(ValueError, match=message):
        Schedule(score_train_weight=value)


@pytest.mark.parametrize("value", [(0,), (20.0,), 20, ("20",)])
@pytest.mark.parametrize("name", ["score_horizons", "hidden_score_horizons"])
def test_refuses_horizons_that_are_none(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        Schedule(**{name: value})


def test_a_score_needs_a_horizon():
    with pytest.raises(ValueError, match="`score_horizons` must be"):
        Schedule(score_horizons=())
    assert Schedule(score_horizons=(20, 40)).score_horizons == (20, 40)


def test_is_frozen_and_compares_by_value():
    assert Schedule(population=4) == Schedule(population=4) != Schedule()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Schedule().population = 3


def test_scores_may_be_of_hidden_horizons_only():
    schedule = Schedule(score_horizons=(), hidden_score_horizons=(20,))
    assert schedule.score_horizons == ()

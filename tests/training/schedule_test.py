"""`Schedule`: integers of at least one."""

import dataclasses

import pytest

from keras_lopt.training import Schedule

FIELDS = [field.name for field in dataclasses.fields(Schedule)]


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


def test_is_frozen_and_compares_by_value():
    assert Schedule(population=4) == Schedule(population=4) != Schedule()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Schedule().population = 3

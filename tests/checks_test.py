"""Checks of settings: what they refuse, and their messages."""

import pytest

from keras_lopt import checks


def refusal(check, *args):
    """The message of a check about a value called x; None if accepted."""
    try:
        check("x", *args)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "interval, taken, refused",
    [
        ("(0, inf)", [1, 0.5, 1e-300], [0, 0.0, -1, float("inf")]),
        ("[0, inf)", [0, 0.0, 3], [-1e-9, float("inf")]),
        ("[0, 1)", [0.0, 0.999], [1, 1.0, -0.1]),
        ("(0, 0.5]", [0.5, 0.1], [0.0, 0.51]),
        ("(-inf, inf)", [-3, 0.0, 1e300], [float("-inf"), float("inf")]),
    ],
)
def test_accepts_only_numbers_in_the_interval(interval, taken, refused):
    assert {refusal(checks.check_number, v, interval) for v in taken} == {None}
    for value in [*refused, float("nan"), "0.5", True, None, (0.5,), 0.5j]:
        assert refusal(checks.check_number, value, interval) == (
            f"`x` must be a finite number in {interval}. Received: x={value!r}"
        )


def test_accepts_only_sequences_of_numbers():
    check = checks.check_numbers
    for values in [(1.0,), [1, 2.0]]:
        assert refusal(check, values, "(0, inf)") is None
    for values in [(), [], (1.0, 0.0), (True,), 1.0, "1", {1.0: 2.0}, None]:
        assert refusal(check, values, "(0, inf)") == (
            "`x` must be one or more finite numbers in (0, inf), as a tuple. "
            f"Received: x={values!r}"
        )
    assert refusal(check, (1.0, 2.0), "(0, inf)", 2) is None
    assert refusal(check, (1.0,), "(0, inf)", 2) == (
        "`x` must be 2 finite numbers in (0, inf), as a tuple. "
        "Received: x=(1.0,)"
    )


def test_accepts_only_integers_in_the_range():
    check = checks.check_integer
    assert [refusal(check, v, 1) for v in (1, 2**70)] == [None, None]
    for value in (0, -1, 1.0, "1", True, None, float("nan")):
        assert refusal(check, value, 1) == (
            f"`x` must be an integer >= 1. Received: x={value!r}"
        )
    assert refusal(check, 3, 0, 3) is None
    assert refusal(check, 4, 0, 3) == (
        "`x` must be an integer in [0, 3]. Received: x=4"
    )

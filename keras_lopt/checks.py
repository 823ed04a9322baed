"""Checks of settings: one clear ValueError for a value that can't be used."""

import difflib
import math


def check_integer(name, value, low, high=math.inf):
    """Raises ValueError unless `value` is an integer from low to high.

    Args:
        name: Of the setting, for the message.
        value: What was given; a bool is not an integer.
        low: The least integer that is allowed.
        high: The greatest integer that is allowed.
    """
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or not low <= value <= high:
        rule = f">= {low}" if high == math.inf else f"in [{low}, {high}]"
        raise ValueError(
            f"`{name}` must be an integer {rule}. Received: {name}={value!r}"
        )


def check_number(name, value, interval):
    """Raises ValueError unless `value` is a finite number in `interval`.

    Args:
        name: Of the setting, for the message.
        value: What was given; bools and strings are not numbers.
        interval: As it is written, such as "(0, 0.5]" or "[0, inf)".
    """
    if not _is_in(value, interval):
        raise ValueError(
            f"`{name}` must be a finite number in {interval}. "
            f"Received: {name}={value!r}"
        )


def check_numbers(name, values, interval, count=None):
    """Raises ValueError unless `values` are numbers, as for `check_number`.

    Args:
        name: Of the setting, for the message.
        values: What was given; a tuple or a list, not empty.
        interval: Of each number.
        count: How many there must be; None: one or more.
    """
    is_sequence = isinstance(values, (tuple, list)) and len(values) > 0
    if (
        not is_sequence
        or len(values) != (count or len(values))
        or not all(_is_in(value, interval) for value in values)
    ):
        raise ValueError(
            f"`{name}` must be {count or 'one or more'} finite numbers in "
            f"{interval}, as a tuple. Received: {name}={values!r}"
        )


def _is_in(value, interval):
    # Python's own numbers, because settings are stored as JSON.
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    low, high = map(float, interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    return above and below and math.isfinite(value)


def check_flag(name, value):
    """Raises ValueError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be True or False. Received: {name}={value!r}"
        )


def check_choice(name, value, known):
    """Raises ValueError unless `value` is one of the known ones.

    Args:
        name: Of the setting, for the message.
        value: What was given.
        known: Tuple or list.
    """
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {known}. Received: {name}={value!r}"
        )


def near_name(name, known):
    """` Did you mean ...?` with the nearest known name; "" if none is near."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""

"""Checks of a rule's hyperparameters, and theta leaves that are logarithms."""

import math

import numpy as np


def check_counts(rule, *fields):
    """Raises ValueError unless the fields are integers >= 1."""
    for field in fields:
        value = getattr(rule, field)
        if not _is_integer(value) or value < 1:
            raise ValueError(
                f"`{field}` must be an integer >= 1. Received: "
                f"{field}={value!r}"
            )


def check_positive(rule, *fields):
    """Raises ValueError unless the fields are finite numbers > 0."""
    check_finite(rule, *fields)
    for field in fields:
        if not getattr(rule, field) > 0.0:
            raise ValueError(
                f"`{field}` must be > 0. Received: "
                f"{field}={getattr(rule, field)}"
            )


def check_fractions(rule, *fields):
    """Raises ValueError unless the fields are numbers in [0, 1)."""
    check_finite(rule, *fields)
    for field in fields:
        if not 0.0 <= getattr(rule, field) < 1.0:
            raise ValueError(
                f"`{field}` must be in [0, 1). Received: "
                f"{field}={getattr(rule, field)}"
            )


def check_finite(rule, *fields):
    """Raises ValueError unless the fields are finite numbers."""
    for field in fields:
        value = getattr(rule, field)
        if not _is_integer(value) and not isinstance(value, float):
            raise ValueError(
                f"`{field}` must be a number. Received: {field}={value!r}"
            )
        if not math.isfinite(value):
            raise ValueError(
                f"`{field}` must be finite. Received: {field}={value}"
            )


def check_flags(rule, *fields):
    """Raises ValueError unless the fields are True or False."""
    for field in fields:
        value = getattr(rule, field)
        if not isinstance(value, bool):
            raise ValueError(
                f"`{field}` must be True or False. Received: {field}={value!r}"
            )


def log_leaves(**values):
    """Dict from leaf name to log of a number > 0, scalar float32 arrays."""
    return {k: np.asarray(math.log(v), np.float32) for k, v in values.items()}


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)

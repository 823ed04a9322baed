"""Checks of a rule's hyperparameters, and theta leaves that are logarithms."""

import math

import numpy as np

from keras_lopt.checks import check_flag, check_integer, check_number


def check_counts(rule, *fields):
    """Raises ValueError unless the fields are integers >= 1."""
    for field in fields:
        check_integer(field, getattr(rule, field), 1)


def check_positive(rule, *fields):
    """Raises ValueError unless the fields are finite numbers > 0."""
    for field in fields:
        check_number(field, getattr(rule, field), "(0, inf)")


def check_fractions(rule, *fields):
    """Raises ValueError unless the fields are numbers in [0, 1)."""
    for field in fields:
        check_number(field, getattr(rule, field), "[0, 1)")


def check_finite(rule, *fields):
    """Raises ValueError unless the fields are finite numbers."""
    for field in fields:
        check_number(field, getattr(rule, field), "(-inf, inf)")


def check_flags(rule, *fields):
    """Raises ValueError unless the fields are True or False."""
    for field in fields:
        check_flag(field, getattr(rule, field))


def log_leaves(**values):
    """Dict from leaf name to log of a number > 0, scalar float32 arrays."""
    return {k: np.asarray(math.log(v), np.float32) for k, v in values.items()}

"""Hyperparameters of rules: checks, and values from the shapes of weights.

Also theta leaves that are logarithms of hyperparameters.
"""

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
    """Dict from leaf name to the log of a number > 0, a float32 scalar."""
    return {k: np.asarray(math.log(v), np.float32) for k, v in values.items()}


def mlp_sizes(shapes, weight, units, layers):
    """Hyperparameters of an MLP from shapes, for `Rule.imported_config`.

    Args:
        shapes: Dict from path to shape.
        weight: Path of the weights of a layer, with {} for its number.
        units: Name of the hyperparameter for the width of the hidden layers.
        layers: Name of the hyperparameter for their number.
    """
    _, width = of_rank(2, shapes[weight.format(0)])
    depth = 1
    while weight.format(depth + 1) in shapes:
        depth += 1
    return {units: width, layers: depth}


def of_rank(rank, shape):
    """`shape`; LookupError if it does not have `rank` dimensions."""
    if len(shape) != rank:
        raise LookupError(f"{shape} does not have {rank} dimensions")
    return shape

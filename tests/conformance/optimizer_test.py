"""A table of tests: one row per registered rule, one column per Keras feature.

New rules in the registry are covered automatically. A feature is a function of
a `Case`, listed in the COLUMNS of its file.
"""

import pytest

from keras_lopt import rules
from tests.conformance import (
    around_a_step,
    at_the_edges,
    in_fit,
    saved_and_copied,
)
from tests.conformance.cases import Case

COLUMNS = {
    column.__name__: column
    for file in (around_a_step, at_the_edges, in_fit, saved_and_copied)
    for column in file.COLUMNS
}


@pytest.fixture(scope="module", params=rules.names())
def case(request):
    return Case.of(request.param)


@pytest.mark.parametrize("column", COLUMNS)
def test_the_rule_has_the_feature(case, column):
    COLUMNS[column](case)

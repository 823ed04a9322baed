"""Selection: where children start, and which take their parents' places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lopt.population import (
    Elitist,
    NoSelection,
    Selection,
    Truncation,
    WinnerTakeAll,
)

SELECTIONS = [Elitist(), Truncation(), WinnerTakeAll(), NoSelection()]
#: Best to worst: 5, 1, 6, 3, 0, 2, 7, 4.
SCORES = np.array([2.0, 0.5, 3.0, 1.5, 9.0, 0.25, 1.0, 4.0])

seeds = st.integers(0, 2**32 - 1)
# Few different values, since ties are where errors hide.
losses = st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.floats(0.0, 10.0))
populations = st.integers(1, 8).flatmap(
    lambda n: st.lists(losses, min_size=4 * n, max_size=4 * n).map(np.array)
)
generations = populations.flatmap(
    lambda scores: st.tuples(
        st.just(scores),
        st.lists(losses, min_size=len(scores), max_size=len(scores)).map(
            np.array
        ),
    )
)
# No database: a test must not depend on what failed before.
properties = settings(database=None, deadline=None, max_examples=60)


@pytest.mark.parametrize("selection", [Elitist(), Truncation()])
@properties
@given(scores=populations, seed=seeds)
def test_the_worst_quarter_starts_from_the_best_quarter(
    selection, scores, seed
):
    before = scores.copy()
    sources = selection.sources(scores, np.random.default_rng(seed))
    np.testing.assert_array_equal(scores, before)
    part = len(scores) // 4
    moved = sources != np.arange(len(scores))
    assert moved.sum() == part
    ranked = np.sort(scores)
    assert scores[moved].min() >= ranked[-part]
    assert scores[sources[moved]].max() <= ranked[part - 1]


@properties
@given(generation=generations)
def test_elitism_never_makes_a_score_worse(generation):
    scores, child_scores = generation
    accepted = Elitist().accepted(scores, child_scores)
    after = np.where(accepted, child_scores, scores)
    assert np.all(after <= scores)
    assert after.min() == min(scores.min(), child_scores.min())
    assert np.all(child_scores[accepted] < scores[accepted])


@pytest.mark.parametrize(
    "selection", SELECTIONS, ids=lambda s: type(s).__name__
)
@properties
@given(scores=populations, seed=seeds)
def test_the_best_member_continues_from_itself(selection, scores, seed):
    sources = selection.sources(scores, np.random.default_rng(seed))
    assert sources[np.argmin(scores)] == np.argmin(scores)


@pytest.mark.parametrize(
    "selection", SELECTIONS, ids=lambda s: type(s).__name__
)
@properties
@given(scores=populations, seed=seeds)
def test_decisions_follow_from_the_seed(selection, scores, seed):
    first, again = (
        selection.sources(scores, np.random.default_rng(seed)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape == scores.shape
    assert np.issubdtype(first.dtype, np.integer)


def test_a_known_population_is_selected_as_documented(rng):
    sources = Truncation(fraction=0.25).sources(SCORES, rng)
    np.testing.assert_array_equal(
        sources[[0, 1, 2, 3, 5, 6]], [0, 1, 2, 3, 5, 6]
    )
    assert set(sources[[4, 7]]) <= {5, 1}
    np.testing.assert_array_equal(WinnerTakeAll().sources(SCORES, rng), [5] * 8)
    np.testing.assert_array_equal(NoSelection().sources(SCORES, rng), range(8))


def test_each_of_the_best_is_copied_sometimes(rng):
    selection = Truncation(fraction=0.5)
    copied = [selection.sources(SCORES, rng)[4] for _ in range(100)]
    assert set(copied) == {5, 1, 6, 3}


@pytest.mark.parametrize(
    "selection", [Truncation(), WinnerTakeAll(), NoSelection()]
)
def test_without_elitism_every_child_is_accepted(selection):
    accepted = selection.accepted(SCORES, SCORES + 100.0)
    assert accepted.dtype == bool and accepted.all()


def test_an_equal_child_is_not_accepted_by_elitism():
    children = np.array([1.0, 0.9, 1.1, np.nan])
    accepted = Elitist().accepted(np.ones(4), children)
    np.testing.assert_array_equal(accepted, [False, True, False, False])


@pytest.mark.parametrize(
    "selection", SELECTIONS, ids=lambda s: type(s).__name__
)
def test_a_population_of_one_continues_from_itself(selection, rng):
    selection.check(1)
    np.testing.assert_array_equal(selection.sources(np.array([3.0]), rng), [0])


@pytest.mark.parametrize(
    "selection, count",
    [
        (Elitist(), 4),
        (Elitist(), 8),
        (Truncation(fraction=0.2), 10),
        (Truncation(fraction=0.5), 2),
        (Truncation(fraction=1 / 3), 6),
        (WinnerTakeAll(), 7),
        (NoSelection(), 7),
    ],
)
def test_accepts_populations_that_can_be_divided(selection, count):
    selection.check(count)


@pytest.mark.parametrize(
    "fraction, count, part", [(0.25, 2, 0.5), (0.25, 10, 2.5), (0.2, 8, 1.6)]
)
@pytest.mark.parametrize("kind", [Elitist, Truncation])
def test_refuses_populations_that_cannot_be_divided(
    kind, fraction, count, part
):
    with pytest.raises(
        ValueError,
        match="`population` must be 1 or such that.* Received: "
        f"population={count}, fraction={fraction}, which is {part}",
    ):
        kind(fraction=fraction).check(count)


@pytest.mark.parametrize(
    "fraction", [0.0, -0.25, 0.51, float("nan"), float("inf"), "0.25", True]
)
@pytest.mark.parametrize("kind", [Elitist, Truncation])
def test_refuses_bad_fractions(kind, fraction):
    with pytest.raises(
        ValueError,
        match=r"`fraction` must be a finite number in \(0, 0.5\]. "
        f"Received: fraction={fraction!r}",
    ):
        kind(fraction=fraction)


def test_all_selections_are_subclasses_of_selection():
    assert all(isinstance(s, Selection) for s in SELECTIONS)

"""The stacked members."""

import dataclasses

import numpy as np
import pytest

from keras_lopt.population import Members


@pytest.fixture
def make_members():
    """Callable: number of the first member -> four members.

    Every leaf of a member is filled with its number.
    """

    def make(first=0):
        numbers = np.arange(first, first + 4)

        def leaf(*shape, dtype=np.float32):
            spread = numbers.reshape([4] + [1] * len(shape)).astype(dtype)
            return np.broadcast_to(spread, [4, *shape]).copy()

        return Members(
            thetas=leaf(3),
            averages=leaf(3),
            slots=[
                {"momenta": leaf(2, 3), "count": leaf(dtype=np.int32)},
                {"momenta": leaf(2, 1), "count": leaf(dtype=np.int32)},
            ],
            slot_steps=leaf(dtype=np.int32),
            multipliers=leaf(),
            scores=leaf(),
            train_losses=leaf(),
            task_scores=leaf(2),
            ids=leaf(dtype=np.int64),
            parents=leaf(dtype=np.int64),
        )

    return make


def leaves(members):
    """All arrays of `members`, by name."""
    found = {}
    for field in dataclasses.fields(members):
        value = getattr(members, field.name)
        if field.name == "slots":
            for i, slots in enumerate(value):
                found |= {f"{leaf}{i}": array for leaf, array in slots.items()}
        else:
            found[field.name] = value
    return found


def assert_numbers(members, expected):
    """Asserts that every leaf of member i is filled with expected[i]."""
    assert len(leaves(members)) == 13
    for name, leaf in leaves(members).items():
        target = np.reshape(expected, [-1] + [1] * (leaf.ndim - 1))
        np.testing.assert_array_equal(
            leaf, np.broadcast_to(target, leaf.shape), err_msg=name
        )


def test_take_copies_all_of_a_member(make_members):
    members = make_members()
    copies = members.take(np.array([2, 2, 0, 3]))
    assert_numbers(copies, [2, 2, 0, 3])
    for leaf in leaves(copies).values():
        leaf[...] = 9
    assert_numbers(members, [0, 1, 2, 3])


def test_replace_where_takes_all_of_a_child(make_members):
    mask = np.array([True, False, False, True])
    parents, children = make_members(), make_members(10)
    assert_numbers(parents.replace_where(mask, children), [10, 1, 2, 13])
    assert_numbers(parents, [0, 1, 2, 3])
    assert_numbers(children, [10, 11, 12, 13])


@pytest.mark.parametrize("accept", [False, True])
def test_replace_where_may_take_none_or_all(make_members, accept):
    mask = np.full(4, accept)
    replaced = make_members().replace_where(mask, make_members(10))
    assert_numbers(replaced, np.arange(4) + 10 * accept)


def test_copies_and_replacements_keep_the_types(make_members):
    members = make_members()
    mask = np.array([True, False, True, False])
    for other in (
        members.take(np.arange(4)),
        members.replace_where(mask, make_members(10)),
    ):
        for name, leaf in leaves(members).items():
            assert leaves(other)[name].dtype == leaf.dtype, name
            assert leaves(other)[name].shape == leaf.shape, name


def test_the_best_has_the_lowest_score(make_members):
    members = make_members()
    members.scores = np.array([2.0, 3.0, 0.5, 0.5])
    assert members.best == 2
    assert isinstance(members.best, int)


def test_best_of_ranks_everyone(make_members):
    members, others = make_members(4), make_members(2)
    best = members.best_of(
        others
    )  # Scores are the numbers 4, ..., 7 and 2, ..., 5.
    assert_numbers(best, [2, 3, 4, 4])


def test_initial_members_are_not_scored_yet():
    thetas = np.zeros((3, 5), np.float32)
    slots = [{"momenta": np.zeros((3, 2, 5), np.float32)}]
    members = Members.initial(thetas, slots, ids=np.arange(3))
    assert members.thetas is thetas and members.slots is slots
    np.testing.assert_array_equal(members.scores, [np.inf] * 3)
    np.testing.assert_array_equal(members.multipliers, [1.0] * 3)
    np.testing.assert_array_equal(members.slot_steps, [0] * 3)
    np.testing.assert_array_equal(members.parents, [-1] * 3)


def test_initial_members_have_the_types_of_trained_ones():
    # A checkpoint is restored into what a new trainer has.
    members = Members.initial(np.zeros([2, 3], np.float32), [], np.arange(2))
    types = {
        name: getattr(members, name).dtype.name
        for name in ("scores", "train_losses", "slot_steps", "ids", "parents")
    }
    assert types == {
        "scores": "float32",
        "train_losses": "float32",
        "slot_steps": "int32",
        "ids": "int64",
        "parents": "int64",
    }
    # The types after training, whose checkpoint must fit into this.
    assert members.scores.dtype == members.train_losses.dtype == np.float32
    assert members.ids.dtype == members.parents.dtype == np.int64
    assert members.slot_steps.dtype == np.int32

"""Tasks and families by name."""

import pytest

from keras_lopt import tasks


def test_names_are_sorted_and_contain_the_fixed_tasks():
    assert tasks.names() == sorted(tasks.names())
    fixed = {"breast_cancer_mlp", "digits_mlp", "wine_mlp"}
    assert set(tasks.names()) - set(tasks.registry.families()) == fixed


def test_a_fixed_task_is_refused_as_a_family():
    with pytest.raises(
        ValueError, match="families that can be sampled .*name='digits_mlp'"
    ):
        tasks.family("digits_mlp")


@pytest.mark.parametrize("seed", [-1, 0.5, "0"])
def test_bad_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be an integer >= 0"):
        tasks.family("mlp").sample_config(seed)


@pytest.mark.parametrize(
    "name, hint",
    [
        ("digit_mlp", r" Did you mean 'digits_mlp'\?"),
        ("wine", r" Did you mean 'wine_mlp'\?"),
        ("zzz", ""),
        (None, ""),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_name(name, hint):
    with pytest.raises(
        ValueError,
        match="`name` must be one of the tasks .*'digits_mlp'.*"
        rf"Received: name={name!r}\.{hint}$",
    ):
        tasks.get(name)


def test_unknown_arguments_are_refused_with_the_known_ones():
    with pytest.raises(
        ValueError,
        match="Arguments of task 'wine_mlp' must be among .*'hidden', "
        r"'activation'.*Received: \['depth', 'size'\]",
    ):
        tasks.get("wine_mlp", size=8, hidden=(4,), depth=3)

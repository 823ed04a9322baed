"""Task families by name."""

import pytest

from keras_lopt import tasks


def test_names_are_sorted_and_all_there():
    assert tasks.names() == ["breast_cancer_mlp", "digits_mlp", "wine_mlp"]


@pytest.mark.parametrize(
    "name, hint",
    [
        ("digit_mlp", r" Did you mean 'digits_mlp'\?"),
        ("wine", r" Did you mean 'wine_mlp'\?"),
        ("zzz", ""),
        (None, ""),
    ],
)
def test_an_unknown_family_is_refused_with_the_nearest_name(name, hint):
    with pytest.raises(
        ValueError,
        match="`name` must be one of the task families .*'digits_mlp'.*"
        rf"Received: name={name!r}\.{hint}$",
    ):
        tasks.get(name)


def test_unknown_arguments_are_refused_with_the_known_ones():
    with pytest.raises(
        ValueError,
        match="'wine_mlp' has the arguments .*'hidden', 'activation'.*"
        r"Received: \['depth', 'size'\]",
    ):
        tasks.get("wine_mlp", size=8, hidden=(4,), depth=3)

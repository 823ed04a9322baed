"""Data by name."""

import pytest

from keras_lopt.tasks import sources, tfds_data


def test_names_are_of_data_that_are_here():
    for name in sources.names():
        assert sources.get(name) is sources.get(name)


@pytest.mark.parametrize(
    "name, hint",
    [("digits", " Did you mean 'digits8'?"), ("zzz", ""), (None, "")],
)
def test_unknown_data_are_refused_with_the_nearest_name(name, hint):
    with pytest.raises(ValueError) as caught:
        sources.get(name)
    assert str(caught.value) == (
        f"`data` must be one of {sources.names()}, or 'tfds:BUILDER@SIZE'. "
        f"Received: data={name!r}.{hint}"
    )


def test_an_unknown_builder_is_refused_with_the_nearest_name():
    with pytest.raises(FileNotFoundError, match="Did you mean 'cifar10'?"):
        tfds_data.images("cifar11")

"""Stacks of convolutions: strides, padding, and what is refused."""

import keras
import pytest

from keras_lopt.tasks.parts import convolutions

REST = "relu", "he_normal", True


@pytest.mark.parametrize(
    "strides, sizes",
    [("all", [8, 4, 2]), ("second", [16, 8, 8]), ("first", [8, 8, 4])],
)
def test_strides_halve_the_image_in_the_chosen_layers(strides, sizes):
    x = keras.Input((16, 16, 1))
    y = convolutions.stack(x, (2, 2, 2), strides, ("same",) * 3, *REST)
    model = keras.Model(x, y)
    found = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert [layer.output.shape[1] for layer in found] == sizes


def test_an_image_that_is_too_small_is_padded():
    x = keras.Input((4, 4, 1))
    y = convolutions.stack(x, (2,) * 4, "all", ("valid",) * 4, *REST)
    assert y.shape == (None, 1, 1, 2)


@pytest.mark.parametrize(
    "strides, padding, message",
    [
        ("third", ("same",), "`strides` must be one of .*strides='third'"),
        ("all", ("same", "same"), "`padding` must have one entry per layer"),
    ],
)
def test_bad_stacks_are_refused(strides, padding, message):
    with pytest.raises(ValueError, match=message):
        convolutions.stack(
            keras.Input((8, 8, 1)), (2,), strides, padding, *REST
        )

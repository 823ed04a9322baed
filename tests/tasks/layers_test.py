"""Layers that every problem draws anew."""

import keras
import numpy as np
import pytest

from keras_lopt.tasks.layers import (
    RandomChoice,
    VariedActivation,
    activation,
)

ACTIVATIONS = ["relu", "tanh", "sigmoid"]


@pytest.mark.parametrize("choice", range(3))
def test_the_weight_chooses_the_activation(choice):
    layer = VariedActivation(ACTIVATIONS)
    inputs = np.linspace(-2.0, 2.0, 12, dtype=np.float32).reshape(3, 4)
    layer.build(inputs.shape)
    layer.choice.assign(choice)
    expected = keras.activations.get(ACTIVATIONS[choice])(inputs)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-6)


def test_every_choice_is_drawn():
    choices = RandomChoice(3, seed=0)((300,), dtype="float32")
    values, counts = np.unique(choices, return_counts=True)
    np.testing.assert_array_equal(values, [0.0, 1.0, 2.0])
    assert counts.min() > 70


def test_the_layer_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((4,)), VariedActivation(ACTIVATIONS)])
    model.layers[0].choice.assign(2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = np.linspace(-2.0, 2.0, 12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def test_choices_survive_their_config():
    copy = RandomChoice.from_config(RandomChoice(3, seed=4).get_config())
    assert (copy.count, copy.seed) == (3, 4)


def test_no_activations_are_refused():
    with pytest.raises(
        ValueError, match=r"`activations` must name at least one.*=\[\]"
    ):
        VariedActivation([])


@pytest.mark.parametrize("name", ["cos", "leaky_relu_0.2", "tanh", ACTIVATIONS])
def test_activations_know_their_shapes_before_they_are_built(name):
    assert activation(name).compute_output_shape((None, 4)) == (None, 4)

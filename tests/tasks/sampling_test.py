"""The sampler of configurations."""

import collections

import keras
import numpy as np
import pytest

from keras_lopt.tasks import layers
from keras_lopt.tasks.sampling import ACTIVATIONS, Sampler


def test_numbers_are_the_same_on_every_machine():
    sampler = Sampler("mlp", 3)
    drawn = [round(sampler.uniform(0.0, 1.0), 6) for _ in range(3)]
    assert drawn == [0.195355, 0.353709, 0.724415]


def test_log_uniform_numbers_are_equally_frequent_per_octave():
    sampler = Sampler("x", 0)
    drawn = np.array([sampler.log_int(2, 512) for _ in range(4000)])
    assert drawn.min() == 2 and 500 < drawn.max() <= 512
    assert np.mean(drawn < 32) == pytest.approx(0.5, abs=0.03)


def test_integers_and_choices_are_uniform():
    sampler = Sampler("x", 0)
    counts = collections.Counter(sampler.integer(1, 4) for _ in range(4000))
    assert sorted(counts) == [1, 2, 3, 4]
    assert max(counts.values()) - min(counts.values()) < 160


def test_activations_are_drawn_by_their_weights():
    sampler = Sampler("x", 0)
    counts = collections.Counter(sampler.activation() for _ in range(8000))
    assert set(counts) == set(ACTIVATIONS)
    assert counts["relu"] / 8000 == pytest.approx(6 / 16, abs=0.02)
    for name in ACTIVATIONS:
        assert layers.activation(name)(np.ones([1, 2])).shape == (1, 2)


def test_keras_knows_all_drawn_initializers():
    sampler = Sampler("x", 0)
    drawn = [sampler.initializer() for _ in range(200)]
    kinds = {type(keras.initializers.get(i)).__name__ for i in drawn}
    assert len(kinds) == 9

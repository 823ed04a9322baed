"""Theta as one vector and back."""

import numpy as np
import pytest

from keras_lopt import rules


@pytest.mark.parametrize("name", rules.names())
def test_packing_round_trips(name):
    rule = rules.get(name)
    theta = rule.init_theta(0)
    layout = rules.ThetaVector(rule)
    vector = layout.pack(theta)
    assert vector.shape == (layout.size,)
    assert layout.size == sum(leaf.size for leaf in theta.values())
    for unpacked in (layout.unpack(vector), layout.unpack_numpy(vector)):
        assert list(unpacked) == list(theta)
        for leaf, value in theta.items():
            np.testing.assert_array_equal(unpacked[leaf], value)
            assert tuple(unpacked[leaf].shape) == value.shape

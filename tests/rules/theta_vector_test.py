"""Theta as one vector and back."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules


@dataclasses.dataclass(frozen=True)
class Shapes(rules.Rule):
    """A rule that only has shapes of theta."""

    shapes: tuple

    def theta_shapes(self):
        return {f"leaf{i}": shape for i, shape in enumerate(self.shapes)}

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        return {
            leaf: np.asarray(rng.normal(size=shape), np.float32)
            for leaf, shape in self.theta_shapes().items()
        }


@pytest.mark.parametrize(
    "rule",
    [
        *map(rules.get, rules.names()),
        Shapes([(3, 2)]),
        Shapes([()]),
        Shapes([(1,)]),
        Shapes([(), (), ()]),
        Shapes([(2,), (), (1, 3)]),
    ],
    ids=str,
)
def test_packing_round_trips(rule):
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


@pytest.mark.parametrize("shapes", [[(3, 2)], [()], [(), (2,)]])
def test_unpacking_compiles(shapes):
    layout = rules.ThetaVector(Shapes(shapes))
    vector = np.arange(layout.size, dtype=np.float32)
    unpacked = tf.function(layout.unpack, jit_compile=True, autograph=False)(
        vector
    )
    np.testing.assert_array_equal(layout.pack(unpacked), vector)

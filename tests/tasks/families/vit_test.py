"""Transformers on images: patches and their positions."""

import numpy as np
import pytest

from keras_lopt import tasks
from keras_lopt.tasks.parts.attention import Positions


@pytest.mark.parametrize("patch, places", [(4, 4), (2, 16)])
def test_every_patch_has_a_position(patch, places, layers_of):
    task = tasks.get("vit", embed=4, patch=patch)
    (layer,) = layers_of(task, Positions)
    assert layer.positions.shape == (places, 4)


def test_outputs_depend_on_the_last_patch(outputs_of):
    task = tasks.get("vit", embed=4, patch=4)
    images = task.dataset.inputs[:2].copy()
    before = outputs_of(task, images).numpy()
    images[0, -1, -1] += 1.0
    after = outputs_of(task, images).numpy()
    assert np.all(before[0] != after[0])
    np.testing.assert_array_equal(before[1], after[1])

"""What families share: names, variations, the scale of pixel losses."""

import numpy as np
import pytest

from keras_lopt.tasks import Variation, datasets
from keras_lopt.tasks.parts import common


def test_a_variation_may_be_a_dict_or_none():
    made = Variation(label_permutation=True)
    assert common.as_variation({"label_permutation": True}) == made
    assert common.as_variation(made) is made
    assert common.as_variation(None) == Variation()


def test_names_tell_configurations_apart():
    dataset = datasets.get("digits4")
    names = {common.task_name("mlp", dataset, width) for width in (1, 2, 1)}
    assert len(names) == 2
    assert all(name.startswith("mlp_digits4x4_") for name in names)


@pytest.mark.parametrize("reduce, count", [("mean", 1), ("sum", 16)])
def test_the_unit_of_pixel_losses_is_the_variance(reduce, count):
    inputs, _ = datasets.get("digits4").arrays("train")
    variance = np.var(inputs.reshape(-1, 16), axis=0).mean()
    unit = common.pixel_normalizer("digits4", "l2", reduce).unit
    assert unit == pytest.approx(count * variance, rel=1e-5)

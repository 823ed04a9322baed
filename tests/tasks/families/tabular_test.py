"""Tables of measurements: classification and regression."""

import numpy as np
import pytest

from keras_lopt import tasks


def test_without_classes_a_number_is_predicted():
    task = tasks.get("tabular", data="diabetes")
    assert task.model.output.shape == (None, 1)
    _, targets = task.dataset.arrays("train")
    mean = np.full_like(targets, targets.mean())
    unit = task.normalizer(task.loss_fn(targets, mean))
    assert float(unit) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("data, classes", [("wine", 3), ("breast_cancer", 2)])
def test_classes_have_one_output_each(data, classes):
    task = tasks.get("tabular", data=data)
    assert task.model.output.shape == (None, classes)
    assert task.normalizer.unit == pytest.approx(np.log(classes))

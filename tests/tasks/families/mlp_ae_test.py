"""Autoencoders: their loss, and the range of their outputs."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks.families.mlp_ae import PixelLoss


@pytest.mark.parametrize(
    "kind, reduce, expected",
    [("l1", "mean", 0.75), ("l1", "sum", 3.0), ("l2", "sum", 4.5)],
)
def test_pixel_losses_have_known_values(kind, reduce, expected):
    targets = np.zeros([2, 2, 2, 1], np.float32)
    outputs = np.array([[[1.0, -1.0], [0.0, 0.0]], [[2.0, 0], [0, -2.0]]])
    outputs = outputs[..., None].astype(np.float32)
    if kind == "l2":
        expected = 0.5 * (2.0 + 8.0)
    elif reduce == "sum":
        expected = 0.5 * (2.0 + 4.0)
    assert float(PixelLoss(kind, reduce)(targets, outputs)) == expected


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "linear_center"])
def test_bounded_outputs_are_in_the_range_of_pixels(output, outputs_of):
    task = tasks.get("mlp_ae", data="digits4", output=output)
    x = 100.0 * task.dataset.inputs[:8]
    found = outputs_of(task, tf.constant(x)).numpy()
    assert found.shape == x.shape
    is_bounded = 0.0 <= found.min() and found.max() <= 1.0
    assert is_bounded == (output != "linear_center")


@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_the_normalized_loss_of_the_mean_image_is_one(loss):
    task = tasks.get("mlp_ae", data="digits4", loss=loss, reduce="sum")
    inputs, targets = task.dataset.arrays("train")
    assert inputs is not targets or inputs.base is targets.base
    mean = np.broadcast_to(inputs.mean(axis=0), inputs.shape)
    found = task.normalizer(task.loss_fn(targets, mean))
    assert float(found) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("field", ["loss", "reduce"])
def test_unknown_losses_are_refused(field):
    with pytest.raises(ValueError, match=f"`{field}` must be one of .*'l3'"):
        tasks.get("mlp_ae", **{field: "l3"})

"""Normalized losses: bounded, finite, 1.0 for guessing or at the start."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks import normalizers


def test_losses_are_shifted_scaled_and_bounded():
    normalizer = tasks.Normalizer(floor=-1.0, unit=2.0, ceiling=3.0)
    losses = tf.constant([-1.0, 1.0, -5.0, 100.0, np.nan, np.inf, -np.inf])
    expected = [0.0, 1.0, 0.0, 3.0, 3.0, 3.0, 3.0]
    np.testing.assert_allclose(normalizer(losses), expected)


def test_the_loss_of_guessing_becomes_one():
    guessing = tf.math.log(7.0)
    assert float(normalizers.chance(7)(guessing)) == pytest.approx(1.0)


def test_the_median_loss_at_the_start_becomes_one():
    task = tasks.get("losg", function="matyas")
    losses = normalizers.initial_losses(task, 9)
    assert len(np.unique(losses)) == 9
    unit = np.median(losses)
    assert task.normalizer.unit == pytest.approx(unit, rel=0.01)
    assert task.describe()["normalizer"]["unit"] == task.normalizer.unit


def test_a_floor_above_the_loss_at_the_start_is_refused():
    task = tasks.get("losg", function="matyas")
    with pytest.raises(ValueError, match="at the start must be finite and ab"):
        tasks.FromStart(floor=1e6).resolve(task)


@pytest.mark.parametrize(
    "arguments, field",
    [({"unit": 0.0}, "unit"), ({"ceiling": -1.0}, "ceiling")],
)
def test_bad_scales_are_refused(arguments, field):
    with pytest.raises(ValueError, match=f"`{field}` must be a finite number"):
        tasks.Normalizer(**arguments)

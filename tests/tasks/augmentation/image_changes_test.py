"""Images that change at every step: by how much, and only in training."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks.augmentation.image_changes import (
    ImageChanges,
    RandomShift,
)
from tests.both_ways import assert_sgd_takes_the_same_steps


def changed(images, **changes):
    """Images [count, height, width, channels] as training sees them."""
    for layer in ImageChanges(**changes).layers():
        images = layer(images, training=True)
    return np.asarray(images)


@pytest.fixture
def images(rng):
    return rng.uniform(0.2, 0.8, (64, 5, 4, 3)).astype(np.float32)


def test_every_image_moves_by_its_own_whole_pixels(images):
    moved = changed(images, crop=1)
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    found = set()
    for image, whole in zip(moved, padded):
        (place,) = [
            (i, j)
            for i in range(3)
            for j in range(3)
            if np.allclose(whole[i : i + 5, j : j + 4], image, atol=1e-6)
        ]
        found.add(place)
    assert len(found) == 9
    np.testing.assert_array_equal(RandomShift(1)(images), images)


@pytest.mark.parametrize("field, axis", [("left_right", 2), ("up_down", 1)])
def test_half_of_the_images_are_mirrored(images, field, axis):
    flipped = changed(images, **{field: True})
    is_same = np.all(flipped == images, axis=(1, 2, 3))
    mirrored = np.flip(images, axis)[~is_same]
    np.testing.assert_array_equal(flipped[~is_same], mirrored)
    assert 15 < np.sum(is_same) < 49


def test_brightness_changes_all_pixels_of_an_image_equally(images):
    moved = changed(images, brightness=0.1) - images
    assert np.ptp(moved, axis=(1, 2, 3)).max() < 1e-5
    assert 0.08 < np.abs(moved).max() <= 0.1 + 1e-5
    assert moved.min() < -0.05 and moved.max() > 0.05


@pytest.mark.parametrize("field", ["contrast", "saturation", "hue"])
def test_colors_change_by_at_most_their_factor_and_stay_in_range(images, field):
    little, much = (changed(images, **{field: f}) for f in (0.01, 0.5))
    assert 0.0 < np.abs(little - images).max() < 0.1
    assert np.abs(much - images).max() > 0.1
    assert 0.0 <= much.min() and much.max() <= 1.0


@pytest.fixture(scope="module")
def task():
    plain = tasks.get(
        "mlp", data="digits4", hidden=(4,), batch_size=8, initializer="ones"
    )
    images = {"crop": 1, "left_right": True, "up_down": True, "contrast": 0.2}
    return tasks.augmented(plain, images={**images, "brightness": 0.1})


def test_fit_has_the_images_of_the_inner_run(task):
    assert_sgd_takes_the_same_steps(task, (7, 3))


def test_images_change_only_in_training(task):
    params, state = task.begin(tf.constant([7, 3]))
    batch = tf.nest.map_structure(lambda a: a[:8], task.dataset.tensors)
    first, later = (
        task.train_loss(params, state, batch, tf.constant([7, 3]))[0],
        task.eval_loss(params, state, batch, tf.constant([7, 3])),
    )
    assert float(first) != float(later)
    again = task.eval_loss(params, state, batch, tf.constant([7, 3]))
    assert float(later) == float(again)


@pytest.mark.parametrize(
    "name, images, message",
    [
        ("mlp", {"hue": 0.1}, "`saturation` and `hue` must be 0 unless"),
        ("mlp", {"crop": -1}, "`crop` must be an integer >= 0"),
        ("mlp", {"contrast": 2.0}, r"`contrast` must be a finite number in \["),
        ("tabular", {"crop": 1}, r"`images` must be for a model of images"),
    ],
)
def test_bad_changes_are_refused(name, images, message):
    with pytest.raises(ValueError, match=message):
        tasks.augmented(tasks.get(name), images=images)

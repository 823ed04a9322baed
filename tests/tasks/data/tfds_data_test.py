"""TFDS as arrays: our own builder, and published ones with mock data."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_lopt import tasks
from keras_lopt.tasks import datasets, tfds_data


class EmbeddedDigits(tfds.core.GeneratorBasedBuilder):
    """200 digits of 8x8 pixels for training and 40 for testing."""

    VERSION = tfds.core.Version("1.0.0")
    # TFDS looks for a builder's files in its package, which must be a folder.
    __module__ = "keras_lopt.embedded_digits"

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(8, 8, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._examples(0, 200),
            "test": self._examples(200, 40),
        }

    def _generate_examples(self):
        raise NotImplementedError

    def _examples(self, start, count):
        digits = datasets.digit_images(8)
        for i in range(start, start + count):
            image = np.round(255.0 * digits.inputs[i]).astype(np.uint8)
            yield i, {"image": image, "label": int(digits.targets[i])}


@pytest.fixture
def settings(tmp_path):
    """Keeps data in the folder of the test; restores the settings."""
    before = vars(tfds_data._settings)
    datasets.get.cache_clear()
    tfds_data.configure(data_dir=str(tmp_path), download=True)
    yield tmp_path
    tfds_data.configure(**before)
    datasets.get.cache_clear()


def test_a_builder_is_prepared_read_split_and_cached(settings):
    dataset = tfds_data.images("embedded_digits")
    assert dataset.inputs.dtype == np.uint8
    assert dataset.inputs.shape == (240, 8, 8, 1)
    assert {k: size for k, (_, size) in dataset.splits.items()} == {
        "train": 120,
        "inner_valid": 40,
        "outer_valid": 40,
        "test": 40,
    }
    # The builder's own splits stay apart, and every example is there.
    digits = datasets.digit_images(8)
    images = np.round(255.0 * digits.inputs[:240]).astype(np.uint8)
    rows = {(i.tobytes(), t) for i, t in zip(images, digits.targets)}
    assert rows == {
        (i.tobytes(), t) for i, t in zip(dataset.inputs, dataset.targets)
    }
    tests = {image.tobytes() for image in images[200:]}
    assert {i.tobytes() for i in dataset.arrays("test")[0]} == tests
    # The second time it is read without TFDS.
    (path,) = (settings / "keras_lopt").glob("*.npz")
    tfds_data.configure(download=False)
    again = tfds_data._cached("embedded_digits@own", pytest.fail)
    np.testing.assert_array_equal(again.inputs, dataset.inputs)
    assert again.splits == dataset.splits and path.stat().st_size > 0


def test_images_are_resized_for_tasks(settings):
    task = tasks.get("mlp", data="tfds:embedded_digits@4", batch_size=16)
    assert task.dataset.inputs.shape[1:] == (4, 4, 1)
    sharp, small = (
        tfds_data.images("embedded_digits", size).inputs for size in (None, 4)
    )
    assert small.mean() == pytest.approx(sharp.mean(), rel=0.05)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_published_images_are_read(name, settings):
    with tfds.testing.mock_data(num_examples=30):
        dataset = tfds_data.images(name, 8)
    assert dataset.inputs.shape[1:3] == (8, 8)
    assert dataset.num_classes == 10
    # With a test split if the published metadata is there.
    assert dataset.size in (30, 60)
    assert dataset.range("train")[1] == (12 if dataset.size == 30 else 18)


def test_published_texts_are_read(settings):
    with tfds.testing.mock_data(num_examples=8):
        texts, labels, classes = tfds_data.labeled_texts("imdb_reviews")
        joined = tfds_data.text("lm1b")
    assert len(texts) == len(labels) == 8 and classes == 2
    assert len(joined) > 8


def test_missing_data_is_one_clear_error(settings):
    tfds_data.configure(download=False)
    with pytest.raises(
        FileNotFoundError,
        match=r"`data` 'tfds:mnist' must be a builder .* is prepared in "
        r"`data_dir` .* Received: .*Use `tasks.tfds_data.configure",
    ):
        tasks.get("mlp", data="tfds:mnist")
    assert not tfds_data.is_available("mnist")

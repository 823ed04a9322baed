"""The small real datasets, and what is refused as one."""

import numpy as np
import pytest
from sklearn import datasets as sklearn_datasets

from keras_lopt.tasks import Dataset, datasets

DATASETS = {
    "digits8x8": lambda: datasets.digits(8),
    "digits4x4": lambda: datasets.digits(4),
    "wine": datasets.wine,
    "breast_cancer": datasets.breast_cancer,
}
SOURCES = {
    "digits8x8": sklearn_datasets.load_digits,
    "digits4x4": sklearn_datasets.load_digits,
    "wine": sklearn_datasets.load_wine,
    "breast_cancer": sklearn_datasets.load_breast_cancer,
}


def small_dataset(**changes):
    """Ten examples of two classes."""
    arguments = {
        "name": "small",
        "inputs": np.zeros((10, 3), np.float32),
        "targets": np.arange(10, dtype=np.int32) % 2,
        "num_classes": 2,
        "splits": {"train": (0, 8), "test": (8, 2)},
    }
    return Dataset(**{**arguments, **changes})


@pytest.mark.parametrize(
    "name, inputs_shape, num_classes",
    [
        ("digits8x8", (1797, 64), 10),
        ("digits4x4", (1797, 16), 10),
        ("wine", (178, 13), 3),
        ("breast_cancer", (569, 30), 2),
    ],
)
def test_datasets_hold_all_of_the_real_data(name, inputs_shape, num_classes):
    dataset = DATASETS[name]()
    assert dataset.name == name
    assert dataset.inputs.shape == inputs_shape
    assert dataset.inputs.dtype == np.float32
    assert dataset.targets.dtype == np.int32
    assert dataset.num_classes == num_classes
    counts = np.bincount(SOURCES[name]().target)
    np.testing.assert_array_equal(np.bincount(dataset.targets), counts)


@pytest.mark.parametrize("name", DATASETS)
def test_splits_are_disjoint_and_cover_the_data(name):
    dataset = DATASETS[name]()
    ranges = [dataset.range(split) for split in datasets.SPLIT_FRACTIONS]
    indices = np.concatenate([start + np.arange(n) for start, n in ranges])
    np.testing.assert_array_equal(np.sort(indices), np.arange(len(indices)))
    assert len(indices) == len(dataset.inputs)
    fractions = [size / len(indices) for _, size in ranges]
    expected = list(datasets.SPLIT_FRACTIONS.values())
    np.testing.assert_allclose(fractions, expected, atol=1 / len(indices))


@pytest.mark.parametrize("name", DATASETS)
def test_every_split_has_every_class(name):
    dataset = DATASETS[name]()
    for split in datasets.SPLIT_FRACTIONS:
        inputs, targets = dataset.arrays(split)
        assert len(inputs) == len(targets) == dataset.range(split)[1]
        assert set(targets) == set(range(dataset.num_classes)), split


def test_inputs_and_targets_are_shuffled_together():
    bunch = sklearn_datasets.load_digits()
    known = {
        (image / 16.0).astype(np.float32).tobytes(): target
        for image, target in zip(bunch.data, bunch.target)
    }
    dataset = datasets.digits(8)
    found = [known[row.tobytes()] for row in dataset.inputs]
    np.testing.assert_array_equal(dataset.targets, found)
    assert not np.array_equal(dataset.targets, bunch.target)


def test_small_digits_are_averages_of_four_pixels():
    large = datasets.digits(8).inputs.reshape(-1, 8, 8)
    quarters = [large[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    small = datasets.digits(4).inputs.reshape(-1, 4, 4)
    np.testing.assert_allclose(small, np.mean(quarters, axis=0), atol=1e-6)
    assert 0.0 <= small.min() and small.max() <= 1.0


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_measurements_are_standardised(name):
    inputs = DATASETS[name]().inputs
    np.testing.assert_allclose(inputs.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(inputs.std(axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize("size", [0, 5, 16, "8"])
def test_digits_have_two_sizes(size):
    with pytest.raises(
        ValueError, match=f"`size` must be 4 or 8. Received: size={size!r}"
    ):
        datasets.digits(size)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"num_classes": 1},
            r"`targets` must be class numbers in \[0, num_classes\). "
            r"Received: num_classes=1, targets in \[0, 1\]",
        ),
        (
            {"targets": np.arange(10) - 1, "num_classes": 9},
            r"`targets` must be class numbers.*targets in \[-1, 8\]",
        ),
        (
            {"inputs": np.array([[np.nan, 1.0], [np.inf, 2.0]] * 5)},
            "`inputs` of dataset 'small' must be finite. Received: 10 non-fin",
        ),
        (
            {"splits": {"train": (0, 10), "test": (10, 0)}},
            r"`splits\['test'\]` of dataset 'small' must not be empty. "
            "Received: size=0",
        ),
    ],
    ids=["class too large", "class negative", "not finite", "empty split"],
)
def test_bad_data_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small_dataset(**changes)


def test_an_unknown_split_is_refused():
    for method in (small_dataset().range, small_dataset().arrays):
        with pytest.raises(
            ValueError,
            match=r"`split` must be one of \['train', 'test'\]. "
            "Received: split='valid'",
        ):
            method("valid")

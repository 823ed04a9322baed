"""Datasets: the small real ones, by name, and what is refused as one."""

import numpy as np
import pytest
from sklearn import datasets as sklearn_datasets

from keras_lopt.tasks import Dataset, datasets, tfds_data

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
def test_measurements_are_standardized(name):
    dataset = DATASETS[name]()
    train, _ = dataset.arrays("train")
    np.testing.assert_allclose(train.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1.0, atol=1e-5)
    # One affine function per column turns them into the original.
    original = np.sort(SOURCES[name]().data, axis=0)
    ordered = np.sort(dataset.inputs, axis=0)
    scale = np.ptp(original, axis=0) / np.ptp(ordered, axis=0)
    np.testing.assert_allclose(
        (ordered - ordered[0]) * scale, original - original[0], rtol=1e-3
    )


def test_only_the_train_split_determines_the_standardization():
    inputs, targets = np.arange(40.0)[:, None] ** 2, np.arange(40) % 2

    def train(inputs, standardize=True):
        dataset = datasets.split_arrays("x", inputs, targets, 2, standardize)
        return dataset.arrays("train")[0]

    is_train = np.isin(inputs, train(inputs, standardize=False))
    assert is_train.sum() == 24
    changed = np.where(is_train, inputs, -1e3)
    np.testing.assert_array_equal(train(changed), train(inputs))


def test_a_constant_column_becomes_zero():
    inputs = np.stack([np.full(40, 0.1), np.arange(40.0)], axis=1)
    dataset = datasets.split_arrays(
        "x", inputs, np.arange(40) % 2, 2, standardize=True
    )
    np.testing.assert_allclose(dataset.inputs[:, 0], 0.0, atol=1e-6)
    assert np.std(dataset.inputs[:, 1]) > 0.5


@pytest.mark.parametrize("size", [0, 5, 16, "8"])
def test_other_sizes_of_digits_are_refused(size):
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
            {"num_classes": 2.0},
            "`num_classes` must be an integer >= 1. Received: num_classes=2.0",
        ),
        (
            {"targets": np.arange(10) % 2 * 1.0},
            "`targets` of dataset 'small' must be a NumPy array of int32 or "
            "int64. Received: float64",
        ),
        (
            {"targets": [0, 1] * 5},
            "`targets` of dataset 'small' must be a NumPy array.*: list",
        ),
        (
            {"targets": np.array(["a", "b"] * 5)},
            "`targets` of dataset 'small' must be a NumPy array.*: <U1",
        ),
        (
            {"targets": np.zeros([10, 1], np.int32)},
            r"one class number per target. Received: shapes \(10, 3\) and "
            r"\(10, 1\)",
        ),
        (
            {"targets": np.zeros([9], np.int32)},
            "`inputs` and `targets` of dataset 'small' must have the same "
            r"number of examples.* Received: shapes \(10, 3\) and \(9,\)",
        ),
        (
            {
                "inputs": np.zeros([0, 3], np.float32),
                "targets": np.zeros([0], np.int32),
            },
            r"at least one.* Received: shapes \(0, 3\) and \(0,\)",
        ),
        (
            {"inputs": np.array(1.0, np.float32)},
            r"the same number of examples.* Received: shapes \(\) and \(10,\)",
        ),
        (
            {"inputs": np.zeros([10, 3])},
            "`inputs` of dataset 'small' must be a NumPy array of float32 or "
            "int32 or uint8. Received: float64",
        ),
        (
            {"inputs": np.array([[np.nan, 1], [np.inf, 2]] * 5, np.float32)},
            "`inputs` of dataset 'small' must be finite. Received: 10 non-fin",
        ),
    ],
)
def test_bad_data_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small_dataset(**changes)


@pytest.mark.parametrize(
    "splits, message",
    [
        ({}, "`splits` of dataset 'small' must be a dict with the split 'tr"),
        ({"test": (0, 5)}, "`splits` .* 'train'. Received: splits={'test'"),
        ([("train", (0, 5))], "`splits` .* must be a dict"),
        (
            {"train": (0, 8), "test": (8, 0)},
            r"`splits\['test'\]\[1\]` must be an integer >= 1.*=0",
        ),
        (
            {"train": (-1, 8)},
            r"`splits\['train'\]\[0\]` must be an integer >= 0.*=-1",
        ),
        (
            {"train": (0, 8.0)},
            r"`splits\['train'\]\[1\]` must be an integer >= 1.*=8.0",
        ),
        (
            {"train": (0.5, 8)},
            r"`splits\['train'\]\[0\]` must be an integer >= 0.*=0.5",
        ),
        ({"train": 8}, r"`splits\['train'\]` .* a pair \(start, size\).*=8"),
        ({"train": (0, 8, 9)}, r"a pair \(start, size\).*=\(0, 8, 9\)"),
        ({"train": "08"}, r"a pair \(start, size\).*='08'"),
        (
            {"train": (0, 8), "test": (8, 3)},
            r"`splits\['test'\]` of dataset 'small' must end within its 10 "
            "examples. Received: start=8, size=3",
        ),
        (
            {"test": (7, 3), "train": (0, 8)},
            "`splits` of dataset 'small' must not overlap. Received: 'train' "
            "ends at 8, 'test' starts at 7",
        ),
        ({"train": (0, 9), "test": (2, 3)}, "must not overlap"),
        ({"train": (0, 9), "test": (0, 9)}, "must not overlap"),
    ],
)
def test_bad_splits_are_refused(splits, message):
    with pytest.raises(ValueError, match=message):
        small_dataset(splits=splits)


def test_splits_may_leave_examples_out_and_be_in_any_order():
    dataset = small_dataset(splits={"test": (7, 3), "train": (1, 5)})
    assert [len(a) for a in dataset.arrays("train")] == [5, 5]


def test_an_unknown_split_is_refused():
    for method in (small_dataset().range, small_dataset().arrays):
        with pytest.raises(
            ValueError,
            match=r"`split` must be one of \['train', 'test'\]. "
            "Received: split='valid'",
        ):
            method("valid")


def test_named_datasets_load_without_download_and_only_once():
    for name in datasets.names():
        assert datasets.get(name) is datasets.get(name)


@pytest.mark.parametrize(
    "name, hint",
    [("digits", " Did you mean 'digits8'?"), ("zzz", ""), (None, "")],
)
def test_an_unknown_name_is_refused_with_the_nearest_name(name, hint):
    with pytest.raises(ValueError) as caught:
        datasets.get(name)
    assert str(caught.value) == (
        f"`data` must be one of {datasets.names()}, or 'tfds:BUILDER@SIZE'. "
        f"Received: data={name!r}.{hint}"
    )


def test_an_unknown_builder_is_refused_with_the_nearest_name():
    with pytest.raises(FileNotFoundError, match="Did you mean 'cifar10'?"):
        tfds_data.images("cifar11")

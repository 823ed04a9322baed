"""Users' own data: the forms it may have, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks


def splits_of(data):
    arrays = tasks.as_dataset(data)
    return {split: size for split, (_, size) in arrays.splits.items()}


def test_all_forms_of_data_become_datasets_with_splits():
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    by_split = {"train": (x, y), "test": (x[:3], y[:3])}
    assert splits_of((x, y)) == {
        "train": 6,
        "inner_valid": 1,
        "outer_valid": 1,
        "test": 2,
    }
    assert splits_of(by_split) == {"train": 10, "test": 3}
    stream = tf.data.Dataset.from_tensor_slices((x, y))
    dataset = tasks.as_dataset({"train": stream})
    np.testing.assert_array_equal(dataset.inputs, x.astype(np.float32))
    assert dataset.targets.dtype == np.int32


@pytest.mark.parametrize(
    "data, message",
    [
        ((1, 2, 3), "`data` must be a pair .*Received: tuple of 3"),
        ("digits", "`data` must be a pair .*Received: str"),
        (
            tf.data.Dataset.range(3).repeat(),
            "`data` must be finite.*an infinite tf.data.Dataset",
        ),
        (
            (np.zeros([4, 2]), np.zeros([3])),
            "must have the same number of examples",
        ),
        ((np.array(["a"] * 9), np.zeros(9)), "must be a NumPy array of float"),
        (
            tf.data.Dataset.range(1, 4).map(lambda n: (tf.ones([n]), n)),
            "`data` must have examples of one shape.*Received: shapes",
        ),
        (
            {"train": (np.zeros([4, 2]), np.zeros([4])), "test": ([], [])},
            r"`number of examples of data\['test'\]` must be an integer >= 1",
        ),
        (
            (np.full([9, 2], np.nan), np.zeros(9)),
            "`inputs` of dataset 'user' must be finite",
        ),
    ],
)
def test_bad_data_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        tasks.as_dataset(data)

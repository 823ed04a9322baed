"""Random data: labels by a linear map, sparse features."""

import numpy as np

from keras_lopt import tasks
from keras_lopt.tasks.families.random_data import RandomExamples


def test_labels_are_the_teachers_and_every_call_draws_new_examples():
    layer = RandomExamples(6, 3, 0.0, 200)
    layer.build((1, 1))
    examples, labels = (np.asarray(v) for v in layer.call(None))
    scores = examples @ np.asarray(layer.teacher)
    np.testing.assert_array_equal(labels, np.argmax(scores, axis=1))
    assert set(labels) == {0, 1, 2}
    assert not np.any(np.isin(examples, layer.call(None)[0]))


def test_sparse_features_are_zero():
    examples, _ = RandomExamples(50, 3, 0.9, 100)(np.zeros([1, 1]))
    assert 0.88 < np.mean(np.asarray(examples) == 0.0) < 0.92


def test_without_hidden_layers_it_is_softmax_regression():
    task = tasks.get("random_data", hidden=(), features=6, classes=3)
    shapes = [tuple(v.shape) for v in task.model.trainable_variables]
    assert shapes == [(6, 3), (3,)]

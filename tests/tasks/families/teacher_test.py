"""Teachers: fresh examples at every step, one teacher per problem."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks.families.teacher import Lesson


def lesson(targets="classes", noise=0.0, size=2000):
    """A layer with a teacher whose weights are drawn as in a problem."""
    return Lesson((8,), 5, targets, 4, noise, size)


def test_every_call_has_new_inputs_and_the_answers_of_one_teacher():
    layer = lesson("numbers")
    first, answers = layer(tf.zeros([1, 1]))
    other, _ = layer(tf.zeros([1, 1]))
    assert not np.isin(first, other).any()
    hidden = np.tanh(first @ layer.kernels[0] + layer.biases[0])
    np.testing.assert_allclose(
        answers, hidden @ layer.kernels[1].numpy(), rtol=1e-4, atol=1e-5
    )


def test_classes_are_the_largest_outputs_and_none_is_rare():
    layer = lesson()
    x, classes = layer(tf.zeros([1, 1]))
    hidden = np.tanh(x @ layer.kernels[0] + layer.biases[0])
    outputs = hidden @ layer.kernels[1].numpy()
    assert np.mean(outputs.argmax(axis=1) == classes) > 0.999
    assert np.bincount(classes, minlength=4).max() < 1600


@pytest.mark.parametrize("targets", ["classes", "numbers"])
def test_noise_is_the_stated_part(targets):
    plain, noisy = lesson(targets), lesson(targets, noise=0.2)
    for layer in (plain, noisy):
        layer.build(None)
    for old, new in zip(plain.weights, noisy.weights):
        if old.trainable is False and old.dtype == "float32":
            new.assign(old)
    x, answers = noisy(tf.zeros([1, 1]))
    clean = plain._answers(x)
    if targets == "classes":  # A quarter of the random ones are right.
        assert np.mean(clean != answers) == pytest.approx(0.15, abs=0.03)
    else:
        ratio = np.std(answers - clean) / np.std(clean)
        assert ratio == pytest.approx(0.2, rel=0.1)


def test_problems_have_teachers_of_their_own_and_start_at_one():
    for targets in ("classes", "numbers"):
        task = tasks.get("teacher", targets=targets, hidden=(4,))
        teachers = [
            task.begin(tf.constant([7, i]))[1][0].numpy() for i in range(2)
        ]
        assert not np.isin(*teachers).any()
        loss = tasks.normalizers.initial_losses(task, 3)
        assert 0.5 < float(np.median(task.bounded(loss))) < 2.0


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"targets": "labels"}, "`targets` must be one of"),
        ({"outputs": 1}, "`outputs` must be an integer >= 2"),
        ({"features": 0}, "`features` must be an integer >= 1"),
        ({"noise": 2.0}, "`noise` must be a finite number in"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tasks.get("teacher", **settings)

"""Fixtures that the tests of tasks share."""

import functools

import keras
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks import Task, Variation, datasets

#: Steps of a long draw; one number for all tests, so that it compiles once.
LONG = 30


@pytest.fixture(scope="session")
def digits_task():
    """Callable: arguments of `Variation` -> a task of 4x4 digits, made once."""

    @functools.cache
    def make(**variation):
        return tasks.get(
            "digits_mlp",
            size=4,
            hidden=(8,),
            activation="tanh",
            batch_size=16,
            variation=Variation(**variation),
        )

    return make


@pytest.fixture
def wine_task():
    """Callable: layers -> a task that classifies wines with these layers."""
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def make(layers, loss=crossentropy, **arguments):
        def model_fn():
            return keras.Sequential(
                [keras.Input((13,)), *layers, keras.layers.Dense(3)]
            )

        return Task("wines", model_fn, loss, datasets.wine(), 8, **arguments)

    return make


@pytest.fixture
def problem_seeds():
    """Seeds [2, 2] of two problems."""
    return tf.constant([[7, 0], [7, 1]])


@pytest.fixture
def draw(problem_seeds):
    """Callable: task and split -> the first LONG batches of both problems."""

    def draw_long(task, split="train"):
        steps = tf.constant([0, 0])
        batches = task.draw_batches(problem_seeds, steps, LONG, split)
        return tuple(b.numpy() for b in batches)

    return draw_long


@pytest.fixture
def first_batch():
    """Callable: task and seed -> the batch of a problem's first step."""

    def draw_first(task, seed):
        batches = task.draw_batches(seed[None], tf.constant([0]), 1, "train")
        return tuple(b[0, 0] for b in batches)

    return draw_first

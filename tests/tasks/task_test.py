"""Tasks: their problems differ and repeat, their losses stay in bounds."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks import datasets


def test_problems_start_from_different_values_and_repeat(
    digits_task, problem_seeds
):
    first, other, again = (
        digits_task().begin(problem_seeds[i])[0] for i in (0, 1, 0)
    )
    for value, repeated in zip(first, again):
        np.testing.assert_array_equal(value, repeated)
    for kernel, other_kernel in zip(first[::2], other[::2]):
        assert np.abs(kernel - other_kernel).mean() > 0.1
    # The weights of one problem are independent, too.
    assert not np.any(np.isin(first[0], first[2]))


def test_initial_values_follow_their_initializers(digits_task, problem_seeds):
    params, non_trainable = digits_task().begin(problem_seeds[0])
    assert non_trainable == []
    limits = [np.sqrt(6 / (16 + 8)), np.sqrt(6 / (8 + 10))]
    for kernel, limit in zip(params[::2], limits):
        assert 0.9 * limit < np.abs(kernel).max() <= limit
        assert np.std(kernel) == pytest.approx(limit / np.sqrt(3.0), rel=0.15)
    for bias in params[1::2]:
        np.testing.assert_array_equal(bias, np.zeros(bias.shape))


def test_the_models_own_values_do_not_matter(digits_task, problem_seeds):
    task = digits_task()
    before = task.begin(problem_seeds[0])[0]
    for variable in task.model.trainable_variables:
        variable.assign(variable + 1.0)
    for value, expected in zip(task.begin(problem_seeds[0])[0], before):
        np.testing.assert_array_equal(value, expected)


def test_batches_do_not_depend_on_how_a_run_is_cut(
    digits_task, problem_seeds, draw
):
    task = digits_task()
    whole = draw(task)
    third = whole[0].shape[1] // 3
    pieces = [
        task.draw_batches(
            problem_seeds, tf.constant([first, first]), third, "train"
        )
        for first in (0, third, 2 * third)
    ]
    for expected, *parts in zip(whole, *pieces):
        np.testing.assert_array_equal(expected, np.concatenate(parts, axis=1))


def test_problems_may_be_at_different_steps(digits_task, problem_seeds, draw):
    inputs, targets = draw(digits_task())
    third = inputs.shape[1] // 3
    drawn = digits_task().draw_batches(
        problem_seeds[::-1], tf.constant([2, 4]), third, "train"
    )
    for expected, value in zip((inputs, targets), drawn):
        np.testing.assert_array_equal(value[0], expected[1, 2 : 2 + third])
        np.testing.assert_array_equal(value[1], expected[0, 4 : 4 + third])


def test_batches_differ_between_problems_and_steps(digits_task, draw):
    inputs, targets = draw(digits_task())
    assert inputs.shape[0] == 2 and inputs.shape[2:] == (16, 16)
    assert targets.shape == inputs.shape[:3]
    batches = np.reshape(inputs, [-1, 16 * 16])
    assert len({batch.tobytes() for batch in batches}) == len(batches)


@pytest.mark.parametrize("split", datasets.SPLIT_FRACTIONS)
def test_batches_come_only_from_their_split(digits_task, draw, split):
    task = digits_task()
    inputs, targets = draw(task, split)
    inputs = np.reshape(inputs, [-1, 16])
    own_inputs, own_targets = task.dataset.arrays(split)
    own = {(x.tobytes(), y) for x, y in zip(own_inputs, own_targets)}
    drawn = [(x.tobytes(), y) for x, y in zip(inputs, np.ravel(targets))]
    assert set(drawn) <= own
    # Uniform, with replacement.
    expected = 1.0 - np.exp(-len(drawn) / len(own))
    assert len(set(drawn)) / len(own) == pytest.approx(expected, abs=0.06)


def test_an_unknown_split_is_refused(digits_task, draw):
    with pytest.raises(ValueError, match="`split` must be one of.*'valid'"):
        draw(digits_task(), "valid")


def test_losses_are_clipped_to_the_bound(wine_task):
    bounded = wine_task([], max_loss=3.0).bounded
    losses = tf.constant([1.5, -1.0, 1e9, np.inf, -np.inf, np.nan])
    expected = [1.5, 0.0, 3.0, 3.0, 3.0, 3.0]
    np.testing.assert_array_equal(bounded(losses), expected)


def test_losses_are_bounded_by_twice_guessing_by_default(digits_task):
    assert digits_task().max_loss == pytest.approx(2.0 * np.log(10.0))


@pytest.mark.parametrize(
    "batch_size, rule",
    [
        (0, "an integer >= 1"),
        (-1, "an integer >= 1"),
        (8.0, "an integer >= 1"),
        (108, "<= 107, the size of the training split"),
        (1000, "<= 107, the size of the training split"),
    ],
)
def test_a_batch_must_fit_into_the_training_split(batch_size, rule):
    assert datasets.wine().range("train")[1] == 107
    with pytest.raises(
        ValueError,
        match=f"`batch_size` must be {rule}. Received: batch_size={batch_size}",
    ):
        tasks.get("wine_mlp", batch_size=batch_size)


@pytest.mark.parametrize(
    "max_loss", [0.0, -1.0, float("nan"), float("inf"), "3", True]
)
def test_max_loss_must_be_a_positive_number(wine_task, max_loss):
    with pytest.raises(
        ValueError,
        match=r"`max_loss` must be a finite number in \(0, inf\). Received: "
        f"max_loss={max_loss!r}",
    ):
        wine_task([], max_loss=max_loss)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.SparseCategoricalCrossentropy(reduction=None),
        "sparse_categorical_crossentropy",
    ],
    ids=["no reduction", "function"],
)
def test_a_loss_that_is_not_a_scalar_is_refused(wine_task, loss):
    with pytest.raises(
        ValueError,
        match=r"`loss` of task 'wines' must be a scalar for a batch. Received: "
        r"loss=sparse_categorical_crossentropy, of shape \(8,\); use a "
        "keras.losses.Loss with a reduction",
    ):
        wine_task([], loss)


def test_a_missing_loss_is_refused(wine_task):
    with pytest.raises(
        ValueError, match="`loss` must be a Keras loss, its name, or a function"
    ):
        wine_task([], None)


class Scale(keras.layers.Layer):
    """Does not keep the initializer of its weight."""

    def build(self, input_shape):
        self.factor = self.add_weight(
            name="factor", shape=(13,), initializer="random_normal"
        )

    def call(self, inputs):
        return self.factor * inputs


def test_an_initializer_that_only_add_weight_got_is_used(
    wine_task, problem_seeds
):
    task = wine_task([Scale()])
    first, other = (task.begin(seed)[0][0] for seed in problem_seeds)
    assert first.shape == (13,) and 0.02 < np.std(first) < 0.1
    assert not np.any(np.isin(first, other))


def test_a_layer_without_a_known_initializer_is_refused(wine_task):
    layer = Scale()
    layer.build(None)  # Not in the task's `model_fn`.
    with pytest.raises(
        ValueError, match="must have an attribute `factor_initializer`"
    ):
        wine_task([layer])


def test_a_description_is_json(digits_task):
    described = digits_task(init_scale=(2.0, 4.0)).describe()
    loaded = json.loads(json.dumps(described))
    assert loaded["name"] == "digits4x4_mlp_16-8-10"
    assert loaded["params"] == [[16, 8], [8], [8, 10], [10]]
    assert loaded["variation"]["init_scale"] == [2.0, 4.0]
    assert loaded != json.loads(json.dumps(digits_task().describe()))


def mean_crossentropy(targets, outputs):
    losses = keras.losses.sparse_categorical_crossentropy(
        targets, outputs, from_logits=True
    )
    return tf.reduce_mean(losses)


class Crossentropy:
    def __call__(self, targets, outputs):
        return mean_crossentropy(targets, outputs)


@pytest.mark.parametrize(
    "loss, name",
    [
        (mean_crossentropy, "mean_crossentropy"),
        (lambda y, x: mean_crossentropy(y, x), "<lambda>"),
        (functools.partial(mean_crossentropy), "partial"),
        (Crossentropy(), "Crossentropy"),
        (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "sparse_categorical_crossentropy",
        ),
    ],
    ids=["function", "lambda", "partial", "object", "Keras"],
)
def test_any_loss_has_a_description(wine_task, loss, name):
    described = json.loads(json.dumps(wine_task([], loss).describe()))
    assert described["loss"] == name

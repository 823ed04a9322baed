"""MLPs: the family on images, and the fixed tasks."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks

#: Name of a fixed task -> its arguments.
FIXED = {
    "digits_mlp": {"size": 4, "hidden": (8, 5)},
    "wine_mlp": {"hidden": (8, 5)},
    "breast_cancer_mlp": {"hidden": (8, 5)},
}


def test_the_model_computes_its_formula(layers_of, rng):
    task = tasks.get(
        "mlp", hidden=(5, 4), activation="leaky_relu_0.2", center=True
    )
    first, second, last = layers_of(task, keras.layers.Dense)

    def leaky(x):
        return np.where(x > 0.0, x, 0.2 * x)

    x = rng.uniform(size=(3, 8, 8, 1)).astype(np.float32)
    flat = 2.0 * x.reshape(3, 64) - 1.0
    expected = last(leaky(np.asarray(second(leaky(np.asarray(first(flat)))))))
    np.testing.assert_allclose(task.model(x), expected, rtol=1e-4, atol=1e-5)


def test_every_layer_has_its_own_initializer(layers_of):
    scale = {"class_name": "RandomNormal", "config": {"stddev": 3.0}}
    task = tasks.get("mlp", hidden=(5, 4), initializer=scale)
    *hidden, _ = layers_of(task, keras.layers.Dense)
    found = [layer.kernel_initializer for layer in hidden]
    assert [x.stddev for x in found] == [3.0, 3.0]
    assert found[0] is not found[1]


@functools.cache
def make_task(name):
    return tasks.get(name, **FIXED[name])


@pytest.mark.parametrize(
    "name, inputs, classes",
    [
        ("digits_mlp", 16, 10),
        ("wine_mlp", 13, 3),
        ("breast_cancer_mlp", 30, 2),
    ],
)
def test_fixed_tasks_have_the_models_that_their_names_say(
    name, inputs, classes
):
    task = make_task(name)
    shapes = [tuple(v.shape) for v in task.model.trainable_variables]
    assert shapes == [(inputs, 8), (8,), (8, 5), (5,), (5, classes), (classes,)]
    assert task.num_params == sum(np.prod(s, dtype=int) for s in shapes)
    assert task.name.endswith(f"_mlp_{inputs}-8-5-{classes}")
    assert task.max_loss == pytest.approx(2.0 * np.log(classes))


@pytest.mark.parametrize("name", FIXED)
def test_a_fresh_model_is_about_as_bad_as_guessing(name):
    task = make_task(name)
    seed = tf.constant([1, 2])
    inputs, targets = task.draw_batches(seed[None], tf.constant([0]), 1, "test")
    loss = task.eval_loss(
        *task.begin(seed), (inputs[0, 0], targets[0, 0]), seed
    )
    guessing = np.log(task.dataset.num_classes)
    assert loss.shape == () and 0.5 < float(loss) / guessing < 2.0


def test_every_fixed_task_is_tested():
    fixed = set(tasks.names()) - set(tasks.registry.families())
    assert set(FIXED) == fixed


def test_digits_are_8x8_by_default():
    task = tasks.get("digits_mlp")
    assert task.name == "digits8x8_mlp_64-32-10"
    assert task.batch_size == 64


@pytest.mark.parametrize(
    "hidden, message",
    [
        ((), r"`hidden` must be a tuple of one or more widths.*hidden=\(\)"),
        (32, "`hidden` must be a tuple of one or more widths.*hidden=32"),
        ("32", "`hidden` must be a tuple of one or more widths.*hidden='32'"),
        ((0,), r"`hidden\[0\]` must be an integer >= 1.*=0"),
        ((8, -1), r"`hidden\[1\]` must be an integer >= 1.*=-1"),
        ((8.0,), r"`hidden\[0\]` must be an integer >= 1.*=8.0"),
        (("8",), r"`hidden\[0\]` must be an integer >= 1.*='8'"),
    ],
)
def test_bad_widths_are_refused(hidden, message):
    with pytest.raises(ValueError, match=message):
        tasks.get("wine_mlp", hidden=hidden)

"""Problems as Keras models: `fit` takes the steps of the inner run."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, rules, tasks
from keras_lopt.tasks import Variation, keras_problem
from tests.both_ways import fit_losses, inner_losses

#: Small, to compile fast.
RULE = rules.get("fused", hidden_units=4, hidden_layers=1, step_mult=0.1)
SEED = (7, 3)
ALL_VARIATIONS = Variation(
    init_scale=(0.5, 2.0),
    input_scale=(0.5, 2.0),
    reparametrization=(0.3, 3.0),
    label_permutation=True,
)
TASKS = {
    "plain": lambda: tasks.get("digits_mlp", size=4, hidden=(16,)),
    "varied": lambda: tasks.get(
        "digits_mlp",
        size=4,
        hidden=(16,),
        activation=("relu", "tanh"),
        batch_size=16,
        variation=ALL_VARIATIONS,
    ),
    "wine": lambda: tasks.get("wine_mlp", hidden=(8, 4), batch_size=8),
    "noisy": lambda: tasks.get(
        "digits_mlp",
        size=4,
        hidden=(8,),
        batch_size=16,
        variation=Variation(
            reparametrization=(0.3, 3.0),
            reparametrization_kinds=("none", "global", "tensor", "parameter"),
            label_noise=(0.2, 0.4),
            label_permutation=True,
            projection=6,
            class_subset=4,
        ),
    ),
}


@functools.cache
def make_task(name):
    return TASKS[name]()


@pytest.mark.parametrize(
    "name, jit_compile",
    [("plain", True), ("varied", False), ("wine", False), ("noisy", True)],
)
def test_fit_takes_the_steps_of_the_inner_run(name, jit_compile):
    task = make_task(name)
    expected = inner_losses(task, RULE, RULE.init_theta(0), SEED)
    optimizer = LearnedOptimizer(RULE, RULE.init_theta(0))
    losses = fit_losses(task, optimizer, SEED, jit_compile=jit_compile)
    assert abs(expected[-1] - expected[0]) > 0.1  # It did train.
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)


def test_reparametrized_model_computes_the_same_function():
    task = make_task("varied")
    model = keras_problem.problem_model(task)
    keras_problem.load_problem(task, model, SEED)
    factor = float(model.factors[0].numpy())
    assert factor != 1.0
    scaled = task.model_fn()
    scaled.set_weights(model.inner.get_weights())
    for variable in scaled.trainable_variables:
        variable.assign(variable * factor)
    x, _ = keras_problem.problem_split(task, SEED, "test")
    np.testing.assert_allclose(model(x), scaled(x), rtol=1e-5, atol=1e-6)


def test_reparametrized_model_keeps_what_its_layers_learn():
    inner = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(momentum=0.5)]
    )
    model = keras_problem.Reparametrized(inner)
    model(np.full((4, 3), 2.0, np.float32), training=True)
    moving_mean = inner.layers[0].moving_mean
    np.testing.assert_allclose(moving_mean, [1.0, 1.0, 1.0])


def test_reparametrized_model_is_saved_and_loaded(tmp_path):
    task = make_task("varied")
    model = keras_problem.problem_model(task)
    keras_problem.load_problem(task, model, SEED)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x, _ = keras_problem.problem_split(task, SEED, "test")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_a_task_without_reparametrization_has_a_plain_model():
    model = keras_problem.problem_model(make_task("plain"))
    assert not isinstance(model, keras_problem.Reparametrized)


def test_problems_differ_between_seeds_and_repeat_for_a_seed():
    task = make_task("varied")
    model = keras_problem.problem_model(task)

    def load(seed):
        keras_problem.load_problem(task, model, seed)
        x, y = keras_problem.problem_batches(task, seed, 3)
        return [*model.get_weights(), x.numpy(), y.numpy()]

    first, other, again = load((7, 0)), load((7, 1)), load((7, 0))
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a, b)
    differ = [not np.array_equal(a, b) for a, b in zip(first, other)]
    # Biases start at 0, and two problems may draw the same activation.
    assert differ[-2:] == [True, True] and sum(differ) >= 5


def test_batches_are_in_order_of_the_steps():
    task = make_task("plain")
    x, y = keras_problem.problem_batches(task, SEED, 4)
    assert x.shape == (4 * 64, 16) and y.shape == (4 * 64,)
    third = task.draw_batches(tf.constant([SEED]), tf.constant([2]), 1, "train")
    np.testing.assert_array_equal(x[128:192], third[0][0, 0])
    np.testing.assert_array_equal(y[128:192], third[1][0, 0])


def test_split_is_the_whole_split_as_the_problem_sees_it():
    task = make_task("varied")
    x, y = keras_problem.problem_split(task, SEED, "test")
    start, size = task.dataset.range("test")
    assert x.shape == (size, 16)
    pixels = task.dataset.inputs[start : start + size]
    scales = np.asarray(x)[pixels > 0] / pixels[pixels > 0]
    assert np.ptp(scales) < 1e-5 and abs(scales[0] - 1.0) > 1e-2
    # Labels are permuted as in the batches drawn from the split.
    drawn = task.draw_batches(tf.constant([SEED]), tf.constant([0]), 2, "test")
    rows = np.reshape(drawn[0], [-1, 1, 16])
    sources = np.abs(rows - x).max(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(
        np.reshape(drawn[1], [-1]), np.asarray(y)[sources]
    )


@pytest.mark.parametrize("seed", [3, (1, 2, 3), (0.5, 1.0)])
def test_seed_must_be_two_integers(seed):
    task = make_task("plain")
    with pytest.raises(ValueError, match="`seed` must be two int32 numbers"):
        keras_problem.problem_batches(task, seed, 1)


@pytest.mark.parametrize("num_steps", [0, -1, 2.0])
def test_num_steps_must_be_positive(num_steps):
    task = make_task("plain")
    with pytest.raises(ValueError, match="`num_steps` must be an integer >= 1"):
        keras_problem.problem_batches(task, SEED, num_steps)


def test_the_model_of_another_task_is_refused():
    model = keras_problem.problem_model(make_task("wine"))
    with pytest.raises(ValueError, match="`model` must be from `problem_model"):
        keras_problem.load_problem(make_task("plain"), model, SEED)

"""Tasks with users' own models, losses and data."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_lopt import LearnedOptimizer, rules, tasks
from tests.both_ways import fit_losses, inner_losses

RULE = rules.get("fused", hidden_units=2, hidden_layers=1, step_mult=0.1)
SEED = (3, 5)
GUIDE = pathlib.Path(__file__).parents[2] / "docs/tutorials/your_task.md"


def images(count=64):
    """Images and their classes, which depend on the mean pixel."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, count)
    pixels = (
        rng.uniform(0, 80, (count, 4, 4, 1)) + 80 * targets[:, None, None, None]
    )
    return pixels.astype(np.uint8), targets


def cnn():
    return keras.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def cnn_task():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return tasks.from_keras(cnn, loss, images(), batch_size=8, name="cnn")


class Penalty(layers.Layer):
    """Scales inputs by a weight without a kept initializer; adds a loss."""

    def build(self, input_shape):
        self.gain = self.add_weight(
            name="gain",
            shape=(input_shape[-1],),
            initializer="random_normal",
            regularizer=keras.regularizers.L2(0.1),
        )

    def call(self, inputs):
        self.add_loss(0.01 * ops.mean(ops.square(inputs)))
        return (1.0 + self.gain) * inputs


def two_inputs_two_outputs():
    left, right = (
        keras.Input((3,), name="left"),
        keras.Input((2,), name="right"),
    )
    x = layers.Concatenate()([left, right])
    x = Penalty()(layers.Dense(4, activation="tanh")(x))
    outputs = {
        "number": layers.Dense(1, name="number")(x),
        "kind": layers.Dense(3, name="kind")(x),
    }
    return keras.Model({"left": left, "right": right}, outputs)


@pytest.fixture(scope="module")
def joint_task():
    rng = np.random.default_rng(0)
    inputs = {
        "left": rng.normal(size=(40, 3)),
        "right": rng.normal(size=(40, 2)),
    }
    targets = {
        "number": inputs["left"][:, :1],
        "kind": rng.integers(0, 3, 40),
    }
    losses = {
        "number": "mse",
        "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    return tasks.from_keras(
        two_inputs_two_outputs,
        losses,
        (inputs, targets),
        batch_size=8,
        normalizer=tasks.Normalizer(),
    )


@pytest.mark.parametrize("name", ["cnn_task", "joint_task"])
def test_fit_takes_the_steps_of_the_inner_run(name, request):
    task = request.getfixturevalue(name)
    theta = RULE.init_theta(0)
    expected = inner_losses(task, RULE, theta, SEED)
    optimizer = LearnedOptimizer(RULE, theta)
    losses = fit_losses(task, optimizer, SEED, jit_compile=True)
    assert abs(expected[-1] - expected[0]) > 1e-3
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)


def test_the_state_of_a_run_starts_with_statistics_and_a_seed(cnn_task):
    _, (mean, variance, seed) = cnn_task.begin(tf.constant(SEED))
    np.testing.assert_array_equal(mean, np.zeros(4))
    np.testing.assert_array_equal(variance, np.ones(4))
    assert seed.shape == (2,)


def test_uint8_inputs_become_pixels_and_targets_stay_classes(cnn_task):
    inputs, targets = cnn_task.draw_batches(
        tf.constant([SEED]), tf.constant([0]), 1, "train"
    )
    assert inputs.dtype == tf.float32
    assert 0.0 <= np.min(inputs) and 0.1 < np.max(inputs) <= 1.0
    assert set(np.unique(targets)) <= {0, 1, 2}


def test_the_unit_of_the_normalizer_is_the_loss_at_the_start(cnn_task):
    assert cnn_task.normalizer.floor == 0.0
    assert 0.8 < cnn_task.normalizer.unit < 4.0
    assert float(cnn_task.bounded(tf.constant(np.nan))) == 4.0


def test_added_losses_and_regularizers_count(joint_task):
    seed = tf.constant(SEED)
    params, state = joint_task.begin(seed)
    batch = joint_task.draw_batches(seed[None], tf.constant([0]), 1, "train")
    batch = tf.nest.map_structure(lambda b: b[0, 0], batch)
    total, _ = joint_task.train_loss(params, state, batch, seed)
    outputs, _, added = joint_task.call(params, state, batch[0], seed, True)
    assert len(added) == 2 and all(float(part) > 0.0 for part in added)
    expected = joint_task.loss_fn(batch[1], outputs) + sum(added)
    assert float(total) == pytest.approx(float(expected), rel=1e-6)


def test_a_model_may_add_all_of_its_loss():
    task = tasks.from_keras(
        lambda: keras.Sequential([layers.Dense(2), Penalty()]),
        None,
        images(),
        batch_size=4,
    )
    assert np.isfinite(task.normalizer.unit)


@pytest.mark.parametrize(
    "model_fn, message",
    [
        (cnn(), "`model_fn` must be a function that returns a new Keras"),
        (lambda: 3, "`model_fn` must return a Keras model. Received: 3"),
    ],
)
def test_bad_models_are_refused(model_fn, message):
    with pytest.raises(ValueError, match=message):
        tasks.from_keras(model_fn, "mse", images(), 4)


class Masked(layers.Layer):
    """Drops examples; how many is known only at run time."""

    def call(self, inputs):
        return tf.boolean_mask(inputs, inputs[:, 0] > 0.0)

    def compute_output_shape(self, input_shape):
        return (None, *input_shape[1:])


class Counting(layers.Layer):
    """Has state that is not a weight of Keras."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = tf.Variable(0.0)

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs + self.calls


@pytest.mark.parametrize(
    "layer, message",
    [
        (Masked, r"'keras' must have outputs of static shapes.*\(None, 3\)"),
        (
            lambda: Counting(name="counting"),
            "Layer 'counting' must keep its state in weights.*`self.calls`",
        ),
    ],
)
def test_layers_that_an_inner_run_cannot_train_are_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        tasks.from_keras(
            lambda: keras.Sequential(
                [layers.Flatten(), layers.Dense(3), layer()]
            ),
            lambda y, x: ops.mean(x),
            images(),
            4,
        )


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "sparse_categorical_crossentropy",
    ],
)
def test_a_class_without_an_output_is_refused(loss):
    with pytest.raises(
        ValueError,
        match=r"`targets` must be class numbers in \[0, 2\), bec.*\[0, 2\]",
    ):
        tasks.from_keras(
            lambda: keras.Sequential([layers.Flatten(), layers.Dense(2)]),
            loss,
            images(),
            4,
        )


def test_the_recipe_in_the_guide_runs():
    text = GUIDE.read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```python\n([^`]*tasks\.from_keras[^`]*)```", text)
    assert len([line for line in recipe.splitlines() if line]) <= 15
    found = {}
    exec(recipe, found)
    assert found["task"].num_params > 100

"""Training curves of all kinds of tasks: the whole loss of every step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import evaluation, tasks
from keras_lopt.evaluation.curves import EVALUATION_SEED, LossCurve
from keras_lopt.tasks import keras_problem
from tests.both_ways import fit_losses

#: Task -> its arguments: added losses, a number as target, a fixed batch size,
#: no data, classes.
KINDS = {
    "mlp_vae": {"data": "digits4", "encoder": (4,), "decoder": (4,)},
    "tabular": {"data": "diabetes", "hidden": (4,)},
    "lopt": {"steps": 2, "inner_batch": 8},
    "quadratic": {"size": 3},
    "mlp": {"data": "digits4", "hidden": (4,)},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_curve_has_the_losses_of_fit(name):
    task = tasks.get(name, **KINDS[name])
    seed = EVALUATION_SEED, 1
    expected = fit_losses(task, keras.optimizers.Adam(), seed, jit_compile=True)
    steps = len(expected)
    trainee = evaluation.Trainee(task, keras.optimizers.Adam(), steps)
    curve = trainee.train(1)
    np.testing.assert_allclose(curve.train_losses, expected, rtol=1e-4)
    assert np.isfinite(curve.test_loss)
    assert (curve.test_accuracy is None) == (name != "mlp")


def test_regularizers_and_the_whole_test_split_count():
    def model_fn():
        inputs = keras.Input((10,))
        penalty = keras.regularizers.L2(0.5)
        outputs = keras.layers.Dense(1, kernel_regularizer=penalty)(inputs)
        return keras.Model(inputs, outputs)

    data = tasks.datasets.diabetes()
    task = tasks.from_keras(model_fn, "mse", data, batch_size=8)
    trainee = evaluation.Trainee(task, keras.optimizers.SGD(0.0), 2)
    curve = trainee.train(0)
    x, y = keras_problem.problem_split(
        task, tf.constant([EVALUATION_SEED, 0]), "test"
    )
    kernel = trainee.model.layers[-1].kernel
    squares = np.square(trainee.model.predict(x, verbose=0) - y)
    expected = np.mean(squares) + 0.5 * np.sum(np.square(kernel))
    assert len(y) == data.range("test")[1]
    assert curve.test_loss == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def trainee():
    """A small MLP with Adam, whose own learning rate is 0.01."""
    task = tasks.digits_mlp(4, (4,), batch_size=8)
    return evaluation.Trainee(task, keras.optimizers.Adam(0.01), num_steps=4)


def test_runs_repeat_exactly_and_differ_between_problems(trainee):
    first, other, again = (trainee.train(i) for i in (0, 1, 0))
    np.testing.assert_array_equal(first.train_losses, again.train_losses)
    assert first.test_loss == again.test_loss
    assert not np.allclose(first.train_losses, other.train_losses)


def test_a_learning_rate_is_that_of_one_run_only(trainee):
    before, fast, after = (trainee.train(0, rate) for rate in (None, 1.0, None))
    np.testing.assert_array_equal(before.train_losses, after.train_losses)
    assert before.train_losses[0] == fast.train_losses[0]  # Before any step.
    assert before.train_losses[1] != fast.train_losses[1]


@pytest.mark.parametrize(
    "losses, expected",
    [([1.0, 2.0, 6.0], 3.0), ([1.0, np.inf], np.inf), ([np.nan, 1.0], np.nan)],
)
def test_the_mean_is_finite_only_if_all_losses_are(losses, expected):
    mean = evaluation.Curve(np.array(losses), 0.0).mean_train_loss
    np.testing.assert_equal(mean, expected)


def test_only_training_losses_are_recorded():
    class Model:
        def compute_loss(self, value, training=True):
            return tf.constant(value) + (0.0 if training else 100.0)

    model, losses = Model(), LossCurve(3)
    losses.follow(model)
    assert float(model.compute_loss(1.0)) == 1.0
    assert float(model.compute_loss(2.0, training=False)) == 102.0
    assert float(model.compute_loss(3.0)) == 3.0
    np.testing.assert_array_equal(losses.values, [1.0, 3.0, 0.0])
    losses.reset()
    model.compute_loss(5.0)
    np.testing.assert_array_equal(losses.values, [5.0, 3.0, 0.0])


def test_a_fixed_batch_size_gets_whole_test_batches():
    def model_fn():
        return keras.Sequential(
            [keras.Input((13,), batch_size=8), keras.layers.Dense(3)]
        )

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    wine = tasks.datasets.wine()
    task = tasks.from_keras(model_fn, loss, wine, batch_size=8)
    trainee = evaluation.Trainee(task, keras.optimizers.SGD(), 1)
    x, y = trainee._test_examples(tf.constant([EVALUATION_SEED, 0]))
    assert wine.range("test")[1] == 27
    assert len(x) == len(y) == 32

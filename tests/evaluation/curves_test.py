"""Training curves of tasks of all kinds: their own loss, all of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import evaluation, tasks
from keras_lopt.evaluation.curves import EVALUATION_SEED
from keras_lopt.tasks import keras_problem
from tests.both_ways import fit_losses

#: Task -> its arguments: added losses, a number as target, a model of one batch
#: size, no data; and classes.
KINDS = {
    "mlp_vae": {"data": "digits4", "encoder": (4,), "decoder": (4,)},
    "tabular": {"data": "diabetes", "hidden": (4,)},
    "lopt": {"steps": 2, "inner_batch": 8},
    "quadratic": {"size": 3},
    "mlp": {"data": "digits4", "hidden": (4,)},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_curve_is_that_of_fit(name):
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

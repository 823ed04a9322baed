"""Training losses of a problem: by the inner run, and by `fit`."""

import keras
import numpy as np
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.estimators import InnerRun
from keras_lopt.optimizers import LearnedOptimizer
from keras_lopt.tasks import keras_problem

STEPS = 20


class BatchLosses(keras.callbacks.Callback):
    """Records each batch's own loss; `fit` reports running means."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


def inner_losses(task, rule, theta, seed):
    """Training losses [STEPS] of the meta-trainer's inner run."""
    run = InnerRun(rule, task, num_steps=1)
    begin = tf.function(run._begin, jit_compile=True, autograph=False)
    step = tf.function(run._step, jit_compile=True, autograph=False)
    state, losses = begin(theta, tf.constant(seed)), []
    for i in range(STEPS):
        batches = run.draw_batches(
            tf.constant([seed]), tf.constant([i]), "train"
        )
        batch = tf.nest.map_structure(lambda b: b[0, 0], batches["train"])
        state, loss = step(
            theta,
            state,
            batch,
            tf.constant(seed),
            tf.constant(STEPS),
            tf.constant(i),
        )
        losses.append(float(loss))
    return losses


def fit_losses(task, optimizer, seed, **compile_args):
    """Training losses [STEPS] of stock `compile` and `fit`."""
    model = keras_problem.problem_model(task)
    model.compile(optimizer, loss=task.loss, **compile_args)
    keras_problem.load_problem(task, model, seed)
    x, y = keras_problem.problem_batches(task, seed, STEPS)
    recorder = BatchLosses()
    model.fit(
        x,
        y,
        batch_size=task.batch_size,
        shuffle=False,
        verbose=0,
        callbacks=[recorder],
    )
    return recorder.losses


def assert_sgd_takes_the_same_steps(task, seed):
    """Asserts that both ways have the same losses, by gradient descent."""
    rule = rules.get("sgd")
    theta = rules.get("sgd", learning_rate=0.1).init_theta(0)
    expected = inner_losses(task, rule, theta, seed)
    optimizer = LearnedOptimizer(rule, theta)
    losses = fit_losses(task, optimizer, seed, jit_compile=True)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)

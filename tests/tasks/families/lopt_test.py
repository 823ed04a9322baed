"""Training a rule as a task: the loss of what it trains, and its gradient."""

import numpy as np
import tensorflow as tf

from keras_lopt import rules, tasks
from keras_lopt.tasks.families import lopt

SEED = tf.constant([0, 1])


def loss_and_gradient(task):
    params, state = task.begin(SEED)
    batch = tf.nest.map_structure(
        lambda a: a[: task.batch_size], task.dataset.tensors
    )
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss, _ = task.train_loss(params, state, batch, SEED)
    return float(loss), tape.gradient(loss, params)


def test_theta_has_a_gradient_only_with_two_or_more_steps():
    config = {"rule": "mlp", "inner_batch": 4}
    _, gradient = loss_and_gradient(tasks.get("lopt", steps=1, **config))
    assert all(g is None or not np.any(g) for g in gradient)
    loss, gradient = loss_and_gradient(tasks.get("lopt", steps=2, **config))
    assert any(np.any(g) for g in gradient if g is not None)
    assert 0.3 < loss < 5.0


def test_initial_values_come_from_random_thetas_of_the_rule():
    task = tasks.get("lopt", steps=1, rule="mlp", inner_batch=4)
    rule = rules.get("mlp", hidden_units=2, hidden_layers=1)
    number = task.model.layers[-1].leaves.index("w0")
    bank = [rule.init_theta(i)["w0"] for i in range(lopt.BANK)]
    drawn = [task.begin(tf.constant([0, i]))[0][number] for i in range(4)]
    places = [
        [np.array_equal(value, other) for other in bank].index(True)
        for value in drawn
    ]
    assert len(set(places)) > 1

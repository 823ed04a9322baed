"""Every family: its samples, and that a task of it can be trained."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules, tasks
from keras_lopt.estimators import InnerRun

FAMILIES = tasks.registry.families()
#: Smaller than the defaults, where those take long to trace or to run.
SMALL = {
    "lopt": {"steps": 2, "inner_batch": 8},
    "rnn_char_lm": {"length": 8, "core": "vrnn"},
    "rnn_word_lm": {"length": 8, "core": "lstm", "vocabulary": 100},
    "rnn_text": {"length": 8, "vocabulary": 100},
    "quadratic": {"size": 4},
}
STEPS = 40


def test_the_families_are_those_that_are_documented():
    assert set(FAMILIES) == {
        *("mlp", "mlp_ae", "mlp_vae", "conv_pooling", "conv_fc", "resnet"),
        *("nvp", "maf", "quadratic", "losg", "random_data", "rnn_text"),
        *("rnn_char_lm", "rnn_word_lm", "transformer_lm", "vit", "tabular"),
        "lopt",
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_are_json_repeat_and_differ(name):
    family = tasks.family(name)
    configs = [family.sample_config(seed) for seed in range(20)]
    texts = [json.dumps(config) for config in configs]
    assert texts == [json.dumps(family.sample_config(i)) for i in range(20)]
    assert len(set(texts)) >= 15


@pytest.mark.parametrize("name", FAMILIES)
def test_adam_reduces_the_loss_in_the_inner_run(name):
    task = tasks.get(name, **SMALL.get(name, {}))
    rule = rules.get("adam")
    run = InnerRun(rule, task, STEPS)
    seeds, zero = tf.constant([[0, 1], [0, 2]]), tf.constant([0, 0])
    thetas = [
        run.theta_vector.pack(rules.get("adam", learning_rate=r).init_theta(0))
        for r in (0.1, 0.01, 0.003)
    ]

    @tf.function(autograph=False)
    def advance():
        batches = run.draw_batches(seeds, zero, "train")
        thetas_of_runs = tf.repeat(tf.stack(thetas), 2, axis=0)
        states = run.blank_states(6)
        _, losses, _ = run.advance(
            *(thetas_of_runs, states, seeds, zero),
            *(tf.constant([0, 1] * 3), batches),
        )
        return losses

    means = np.reshape(advance(), [3, 2])  # [rates, problems]
    starts = [float(task.bounded(loss)) for loss in starting(task, seeds)]
    assert np.all(np.isfinite(starts))
    assert np.min(np.mean(means, axis=1)) < np.mean(starts)


def starting(task, seeds):
    """Losses of the two problems before a step, means over some batches."""
    batches = task.draw_batches(seeds, tf.constant([0, 0]), 4, "train")
    return [
        np.mean([first_loss(task, seeds, batches, i, k) for k in range(4)])
        for i in range(2)
    ]


def first_loss(task, seeds, batches, problem, step):
    """The loss of a problem's first values on the batch of a step."""
    params, state = task.begin(seeds[problem])
    batch = tf.nest.map_structure(lambda b: b[problem, step], batches)
    return task.train_loss(params, state, batch, seeds[problem])[0]

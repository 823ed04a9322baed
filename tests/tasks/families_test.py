"""Every family: its samples, and its problems run in all ways there are."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks.families.lopt import FromBank
from tests import binaries

FAMILIES = tasks.registry.families()
STEPS = 40
#: Families that are run in all ways, each of which is compiled. For all of them
#: there is bin/check_families.py.
KINDS = "conv_pooling", "losg", "mlp_vae", "nvp", "rnn_text"
#: Recurrent layers of Keras are loops, whose gradients are not vectorized.
LOOPS = "rnn_char_lm", "rnn_text", "rnn_word_lm"


@pytest.fixture(scope="module")
def command():
    with binaries.loaded("check_families") as module:
        yield module


@pytest.fixture(scope="module", params=FAMILIES)
def runs(request, command, made):
    """The `Runs` of a family."""
    if request.param not in made:
        made[request.param] = command.Runs(request.param, STEPS)
    return made[request.param]


@pytest.fixture(scope="module")
def made():
    """Dict from a family to its `Runs`, so that each is compiled once."""
    return {}


@pytest.fixture(scope="module")
def mapped(runs):
    """[problems, rates] losses of the compiled inner run."""
    return np.stack([runs.mapped(problem) for problem in range(2)])


def test_all_documented_families_are_registered():
    assert set(FAMILIES) == {
        *("mlp", "mlp_ae", "mlp_vae", "conv_pooling", "conv_fc", "resnet"),
        *("nvp", "maf", "quadratic", "losg", "random_data", "rnn_text"),
        *("rnn_char_lm", "rnn_word_lm", "transformer_lm", "vit", "tabular"),
        *("lopt", "teacher"),
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_are_json_and_repeat_for_a_seed_and_differ_between_seeds(name):
    family = tasks.family(name)
    configs = [family.sample_config(seed) for seed in range(20)]
    texts = [json.dumps(config) for config in configs]
    assert texts == [json.dumps(family.sample_config(i)) for i in range(20)]
    assert len(set(texts)) >= 15


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_build_and_their_losses_start_finite(name, command):
    assert command.check_samples(name, 1) == []


def test_problems_start_from_different_values(runs):
    variables = runs.task.model.trainable_variables
    first, other = (runs.task.begin(tf.constant([7, i]))[0] for i in range(2))
    varying = 0
    for variable, value, another in zip(variables, first, other):
        if np.unique(value).size <= 2 and np.array_equal(value, another):
            continue  # Zeros or ones are not random.
        varying += 1
        # Problems may draw the same values from a bank, but not all of them.
        # Of many single-precision numbers a few are equal by chance.
        initializer = runs.task._initializers[id(variable)]
        most = 1.0 if isinstance(initializer, FromBank) else 0.01
        assert np.mean(np.isin(value, another)) <= most
        assert not np.array_equal(value, another)
    assert varying >= 1


def test_adam_reduces_the_loss_in_the_compiled_inner_run(runs, mapped):
    starts = [float(runs.task.bounded(loss)) for loss in starting(runs.task)]
    assert np.all(np.isfinite(starts)) and np.all(mapped >= 0.0)
    assert np.min(np.mean(mapped, axis=0)) < np.mean(starts)


@pytest.mark.parametrize("runs", KINDS, indirect=True)
def test_two_replicas_have_the_losses_of_one(runs, mapped):
    np.testing.assert_allclose(runs.on_two_replicas(), mapped, rtol=1e-5)


@pytest.mark.parametrize("runs", KINDS, indirect=True)
def test_vectorized_runs_have_the_losses_of_mapped_runs(runs, mapped):
    assert runs.task.vectorizes != runs.task.name.startswith(LOOPS)
    if runs.task.vectorizes:
        # The smallest rate, because larger ones amplify rounding.
        losses = runs.vectorized()[-1]
        assert losses == pytest.approx(mapped[0, -1], rel=1e-4)


@pytest.mark.parametrize("runs", KINDS, indirect=True)
def test_fit_takes_the_steps_of_the_inner_run(runs, mapped):
    assert runs.by_fit() == pytest.approx(mapped[0, -1], rel=1e-4)


def starting(task):
    """Losses of two problems before any step, averaged over batches."""
    seeds = tf.constant([[7, 0], [7, 1]])
    batches = task.draw_batches(seeds, tf.constant([0, 0]), 4, "train")
    return [
        np.mean([first_loss(task, seeds, batches, i, k) for k in range(4)])
        for i in range(2)
    ]


def first_loss(task, seeds, batches, problem, step):
    """The loss of a problem's initial values on the batch of a step."""
    params, state = task.begin(seeds[problem])
    batch = tf.nest.map_structure(lambda b: b[problem, step], batches)
    return task.train_loss(params, state, batch, seeds[problem])[0]

"""The compiled inner run: cut into calls, and against a plain loop."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules, tasks
from keras_lopt.estimators import PES, InnerRun
from keras_lopt.estimators.inner_run import log_loss
from keras_lopt.tasks import Task, datasets
from tests import small_rules

STEPS = 20
SEEDS = tf.constant([[3, 0], [3, 1]])
#: Three particles: the first problem with two thetas, the second with one.
PROBLEMS = tf.constant([0, 1, 0])


@pytest.fixture(scope="module")
def task():
    """Wines; the state has dropout seeds and batch statistics, too."""

    def model_fn():
        return keras.Sequential(
            [
                keras.Input((13,)),
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(3),
            ]
        )

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Task("wines", model_fn, loss, datasets.wine(), batch_size=8)


@pytest.fixture(scope="module")
def make_run(tiny_rule, task):
    """Callable: steps per call -> a compiled `InnerRun`, made once."""

    @functools.cache
    def make(num_steps):
        run = InnerRun(tiny_rule, task, num_steps)
        run.advance = tf.function(
            run.advance, jit_compile=True, autograph=False
        )
        return run

    return make


@pytest.fixture(scope="module")
def thetas(tiny_theta):
    return tf.stack([tiny_theta(0), tiny_theta(1), tiny_theta(2)])


def advance(
    run, thetas, states, steps, problems=PROBLEMS, outer_split="outer_valid"
):
    """`run.advance` from `steps` [2], with the batches drawn."""
    steps = tf.constant(steps)
    batches = run.draw_batches(SEEDS, steps, outer_split)
    return run.advance(thetas, states, SEEDS, steps, problems, batches)


@pytest.fixture(scope="module")
def whole(make_run, thetas):
    """State, training and outer losses of a run of STEPS in one call."""
    run = make_run(STEPS)
    return advance(run, thetas, run.blank_states(3), [0, 0])


def assert_close(nest, expected, **tolerance):
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, **tolerance),
        nest,
        expected,
    )


def test_a_run_cut_into_calls_is_the_same(make_run, thetas, whole):
    run = make_run(STEPS // 2)
    state, *first = advance(run, thetas, run.blank_states(3), [0, 0])
    state, *second = advance(run, thetas, state, [STEPS // 2, STEPS // 2])
    losses = [(a + b) / 2.0 for a, b in zip(first, second)]
    assert_close(losses, list(whole[1:]), rtol=1e-6)
    assert_close(state, whole[0], rtol=1e-5, atol=1e-6)


def test_step_0_ignores_the_state(make_run, thetas):
    run = make_run(STEPS // 2)
    blank = run.blank_states(3)
    assert all(not np.any(leaf) for leaf in tf.nest.flatten(blank))
    garbage = tf.nest.map_structure(
        lambda t: t - 1 if t.dtype.is_integer else t * np.nan - np.nan, blank
    )
    expected = advance(run, thetas, blank, [0, 0])
    assert_close(advance(run, thetas, garbage, [0, 0]), expected, rtol=0)


def test_problems_may_be_at_different_steps(make_run, thetas):
    run, half = make_run(STEPS // 2), STEPS // 2
    fresh = advance(run, thetas, run.blank_states(3), [0, 0])
    later = advance(run, thetas, fresh[0], [half, half])
    mixed = advance(run, thetas, fresh[0], [0, half])
    for a, b, c in zip(*map(tf.nest.flatten, (fresh, later, mixed))):
        np.testing.assert_array_equal(c.numpy()[[0, 2]], a.numpy()[[0, 2]])
        np.testing.assert_array_equal(c[1], b[1])


def test_particles_are_independent(make_run, thetas):
    run = make_run(STEPS // 2)
    blank, order = run.blank_states(3), np.array([2, 0, 1])
    expected = advance(run, thetas, blank, [0, 0])
    problems = tf.gather(PROBLEMS, order)
    shuffled = tf.gather(thetas, order)
    result = advance(run, shuffled, blank, [0, 0], problems)
    assert_close(
        result, tf.nest.map_structure(lambda t: t.numpy()[order], expected)
    )
    # Another theta, or another problem, has another loss.
    other = advance(run, thetas, blank, [0, 0], 1 - PROBLEMS)
    assert np.all(np.abs(other[1] - expected[1]) > 1e-4)
    assert abs(expected[1][0] - expected[1][2]) > 1e-4


def test_agrees_with_a_plain_loop(make_run, task, tiny_rule, thetas, whole):
    """The loop is eager TensorFlow, for the first particle."""
    run, seed = make_run(STEPS), SEEDS[0]
    theta = run.theta_vector.unpack(thetas[0])
    # Compiled, since XLA draws other random numbers.
    begin = tf.function(task.begin, jit_compile=True, autograph=False)
    train_loss = tf.function(task.train_loss, jit_compile=True, autograph=False)
    params, non_trainable = begin(seed)
    slots = tiny_rule.init_slots(theta, params)
    batches = run.draw_batches(SEEDS, tf.constant([0, 0]), "outer_valid")
    train, outer = ([x[0] for x in batches[use]] for use in ("train", "outer"))
    losses = []
    for step in range(STEPS):
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss, non_trainable = train_loss(
                params, non_trainable, (train[0][step], train[1][step]), seed
            )
        deltas, slots = tiny_rule.update(
            theta, tape.gradient(loss, params), params, slots, {"step": step}
        )
        params = [p + d for p, d in zip(params, deltas)]
        # The outer loss is taken after the step, on the outer split.
        outer_loss = task.eval_loss(
            params, non_trainable, (outer[0][step], outer[1][step]), seed
        )
        losses.append([task.bounded(loss), task.bounded(outer_loss)])
    expected = np.mean(losses, axis=0)
    np.testing.assert_allclose(whole[1][0], expected[0], rtol=1e-4)
    np.testing.assert_allclose(whole[2][0], expected[1], rtol=1e-4)
    assert abs(expected[0] - expected[1]) > 1e-3
    state = tf.nest.map_structure(lambda t: t[0], whole[0])
    assert_close(state.params, params, rtol=1e-3, atol=1e-4)
    assert_close(state.non_trainable, non_trainable, rtol=1e-3, atol=1e-4)
    assert_close(state.slots, slots, rtol=1e-3, atol=1e-4)


def test_the_training_loss_is_the_outer_loss_on_train(
    tiny_rule, tiny_task, thetas
):
    run = InnerRun(tiny_rule, tiny_task, 2)
    batches = run.draw_batches(SEEDS, tf.constant([0, 0]), "train")
    assert list(batches) == ["train"]
    _, train, outer = advance(
        run, thetas, run.blank_states(3), [0, 0], outer_split="train"
    )
    np.testing.assert_array_equal(train, outer)


@pytest.mark.parametrize("horizon", [STEPS, 2 * STEPS])
def test_a_rule_gets_the_horizon_of_whole_problems(tiny_task, horizon):
    """The learning rate of this celo is the remaining part of the training."""
    rule = rules.get("celo", lstm_units=1, hidden_units=2, step_mult=0.1)
    theta = small_rules.descending_theta(rule)
    theta["own_w"][:9] = 1.0  # The time's features.
    theta["lstm_w"][0] = 1.0
    theta["lr_w"][:] = 3.0
    run = PES(1, STEPS, truncation=4).inner_run(rule, tiny_task)
    assert run.horizon == STEPS
    given = InnerRun(rule, tiny_task, 4, horizon)
    thetas = tf.stack([run.theta_vector.pack(theta)] * 3)
    _, *losses = advance(run, thetas, run.blank_states(3), [0, 0])
    _, *others = advance(given, thetas, run.blank_states(3), [0, 0])
    assert np.all(np.equal(losses, others)) == (horizon == STEPS)
    assert np.all(np.isfinite(others))


@pytest.mark.parametrize("told, share", [(STEPS, 1 - 0.9**9), (0, 0.1)])
def test_the_end_of_a_run_has_a_weight_of_its_own(
    tiny_rule, tiny_task, thetas, told, share
):
    """The last two of 20 steps, by the difference that the weights make."""

    def losses(end_weight, steps):
        run = InnerRun(tiny_rule, tiny_task, 2, end_weight=end_weight)
        states, sums = run.blank_states(3), []
        advance = tf.function(run.advance, autograph=False)
        for step in range(0, STEPS, 2):
            at = tf.constant([step, step])
            batches = run.draw_batches(SEEDS, at, "train")
            states, train, outer = advance(
                *(thetas, states, SEEDS, at, PROBLEMS, batches),
                tf.constant([steps, steps]),
            )
            np.testing.assert_array_equal(train, outer)
            sums.append(train.numpy())
        return np.array(sums)

    plain, weighted = losses(0.0, told), losses(1.0, told)
    weights = (weighted / plain) / (STEPS / 2)
    np.testing.assert_allclose(weights[-1], share, rtol=0.2)
    assert weights.sum(axis=0).max() < 1.01
    half = losses(0.5, told)
    np.testing.assert_allclose(half, 0.5 * (plain + weighted), rtol=1e-5)


def test_log_losses_have_a_floor_and_a_ceiling(task):
    losses = tf.constant([0.0, 1.0, 7.0, 1e9, np.inf, np.nan])
    unit, most = task.normalizer.unit, task.normalizer.ceiling
    assert unit < 7.0 / most
    found = log_loss(task, losses, 0.1)
    expected = np.log(0.1 + np.array([0.0, 1.0 / unit, *[most] * 4]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    found = log_loss(task, losses, 0.1, ceiling=50.0)
    expected = np.log(0.1 + np.array([0.0, 1.0 / unit, 7.0 / unit, *[50] * 3]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_unknown_split_is_refused(tiny_rule, task):
    with pytest.raises(ValueError, match="`split` must be one of.*='valid'"):
        InnerRun(tiny_rule, task, 2).draw_batches(
            SEEDS, tf.constant([0, 0]), "valid"
        )


@pytest.mark.parametrize("outer_split", ["train", "outer_valid"])
def test_vectorized_runs_are_the_same_as_mapped_ones(
    make_run, task, tiny_rule, thetas, outer_split
):
    mapped = make_run(STEPS // 2)
    run = InnerRun(tiny_rule, task, STEPS // 2, mapping="vectorized")
    run.advance = tf.function(run.advance, jit_compile=True, autograph=False)
    # The second problem starts anew; the first continues.
    state, *_ = advance(mapped, thetas, mapped.blank_states(3), [0, 0])
    expected, result = (
        advance(each, thetas, state, [STEPS // 2, 0], outer_split=outer_split)
        for each in (mapped, run)
    )
    assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_refuses_to_vectorize_loops(tiny_rule):
    config = {"length": 2, "vocabulary": 20, "units": 2, "embed": 2}
    task = tasks.get("rnn_text", **config)
    assert not task.vectorizes
    with pytest.raises(
        ValueError, match='`mapping` must be "map" for a model with loops.*rnn'
    ):
        InnerRun(tiny_rule, task, 2, mapping="vectorized")

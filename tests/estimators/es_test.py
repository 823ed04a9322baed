"""ES: against formulas, and against backpropagation."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.estimators import ES

THETA = np.array([0.5, 0.0, 2.0], np.float32)
SIGMA = 0.5


def quadratic(thetas, states, seeds):
    return states, tf.reduce_sum([0.5, 2.0, 1.0] * (thetas - 1.0) ** 2, axis=1)


def exponential(thetas, states, seeds):
    return states, tf.reduce_sum(tf.exp(thetas), axis=1)


@pytest.mark.parametrize(
    "step, gradient",
    [
        (quadratic, [1.0, 4.0, 2.0] * (THETA - 1.0)),
        # Of the loss smoothed by the noise, not of exp(theta) itself.
        (exponential, np.exp(THETA + SIGMA**2 / 2.0)),
    ],
)
def test_the_mean_estimate_is_the_gradient_of_the_smoothed_loss(
    step, gradient, analytic_run, outer_steps
):
    estimator = ES(pairs=64, horizon=1, sigma=SIGMA)
    thetas = np.tile(THETA, (2000, 1))  # Members are independent estimates.
    run = analytic_run(step, theta_size=3)
    ((grads, *_),) = outer_steps(estimator, run, thetas, 1)
    error = np.std(grads, axis=0) / np.sqrt(len(grads))
    assert np.all(error < 0.05)
    assert np.all(np.abs(np.mean(grads, axis=0) - gradient) < 4.0 * error)


def test_estimates_share_no_state(analytic_run, outer_steps):
    estimator = ES(pairs=4, horizon=6)
    run = analytic_run(quadratic, theta_size=3, num_steps=6)
    results = outer_steps(estimator, run, THETA[None], 3)
    for _, _, state, drawn in results:
        np.testing.assert_array_equal(state.noise, drawn)
        np.testing.assert_array_equal(state.steps, [0, 0, 0, 0])
    seeds = [tuple(np.ravel(state.seeds)) for _, _, state, _ in results]
    assert len(set(seeds)) == 3  # New problems every time.


def test_an_estimate_is_a_whole_run(tiny_rule, tiny_task):
    run = ES(pairs=2, horizon=7).inner_run(tiny_rule, tiny_task)
    assert run.num_steps == 7


# Against backpropagation through a short unroll.

STEPS, PROBLEMS, COPIES = 4, 8, 512


def backpropagated(run, theta, seeds):
    """Gradient [d] of the mean loss over the problems, by the chain rule."""
    begin = tf.function(run.task.begin, jit_compile=True, autograph=False)
    steps = tf.zeros([PROBLEMS], tf.int32)
    batches = run.draw_batches(seeds, steps, "train")["train"]

    @tf.function(autograph=False)
    def gradient(params, non_trainable, inputs, targets):
        with tf.GradientTape() as outer:
            outer.watch(theta)
            leaves = run.theta_vector.unpack(theta)
            slots, total = run.rule.init_slots(leaves, params), 0.0
            for i in range(STEPS):
                with tf.GradientTape() as inner:
                    inner.watch(params)
                    loss, non_trainable = run.task.train_loss(
                        params, non_trainable, (inputs[i], targets[i]), None
                    )
                deltas, slots = run.rule.update(
                    leaves,
                    inner.gradient(loss, params),
                    params,
                    slots,
                    {"step": i},
                )
                params = [p + d for p, d in zip(params, deltas)]
                total += loss / STEPS
        return outer.gradient(total, theta)

    return np.mean(
        [
            gradient(*begin(seeds[i]), batches[0][i], batches[1][i])
            for i in range(PROBLEMS)
        ],
        axis=0,
    )


def test_agrees_with_backpropagation(tiny_rule, tiny_task, tiny_theta):
    """4,096 pairs: 512 copies of a member, with 8 problems each."""
    estimator = ES(pairs=PROBLEMS, horizon=STEPS, sigma=0.003)
    run = estimator.inner_run(tiny_rule, tiny_task)
    theta = tf.constant(tiny_theta(1))
    state = estimator.initial_state(run, COPIES, PROBLEMS, 0)
    problems, drawn = estimator.draw(state, tf.constant([4, 0]), 0)
    grads, _, _ = tf.function(
        estimator.estimate, jit_compile=True, autograph=False
    )(
        run,
        tf.tile(theta[None], [COPIES, 1]),
        state,
        problems,
        drawn,
        run.draw_batches(problems.seeds, state.steps, "train"),
    )
    expected = backpropagated(run, theta, problems.seeds)
    estimate = np.mean(grads, axis=0)
    lengths = np.linalg.norm(estimate), np.linalg.norm(expected)
    assert estimate @ expected / np.prod(lengths) > 0.9
    assert lengths[0] == pytest.approx(lengths[1], rel=0.2)

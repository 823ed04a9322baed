"""The core of the estimators: settings, problems, antithetic differences."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.estimators import (
    ES,
    NRES,
    PES,
    InnerRun,
    LogUniform,
    TruncatedES,
)
from keras_lopt.rules import Rule

KINDS = [ES, TruncatedES, PES, NRES]


def loss_of_problem(thetas, states, seeds):
    """A step whose loss depends only on the problem."""
    return states, tf.cast(seeds[:, 1], tf.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "config, message",
    [
        ({"pairs": 0}, "`pairs` must be an integer >= 1. Received: pairs=0"),
        ({"pairs": -2}, "`pairs` must be an integer >= 1.*=-2"),
        ({"pairs": 2.0}, "`pairs` must be an integer >= 1.*=2.0"),
        ({"horizon": 0}, "`horizon` must be an integer >= 1.*=0"),
        ({"horizon": "20"}, "`horizon` must be an integer >= 1.*='20'"),
        ({"pairs": True}, "`pairs` must be an integer >= 1.*=True"),
        (
            {"sigma": 0.0},
            r"`sigma` must be a finite number in \(0, inf\). "
            "Received: sigma=0.0",
        ),
        ({"sigma": -0.1}, "`sigma` must be a finite number.*: sigma=-0.1"),
        ({"sigma": float("nan")}, "`sigma` must be a.*: sigma=nan"),
        ({"sigma": float("inf")}, "`sigma` must be a.*: sigma=inf"),
        ({"sigma": "0.1"}, "`sigma` must be a.*: sigma='0.1'"),
        ({"sigma": True}, "`sigma` must be a.*: sigma=True"),
        ({"clip": 0.0}, r"`clip` must be.* in \(0, inf\). Received: clip=0.0"),
        ({"clip": float("nan")}, "`clip` must be a.*: clip=nan"),
        ({"clip": float("inf")}, "`clip` must be a.*: clip=inf"),
        ({"clip": None}, "`clip` must be a.*: clip=None"),
        (
            {"outer_split": "inner_valid"},
            '`outer_split` must be "train" or "outer_valid".*scoring.*'
            "Received: outer_split='inner_valid'",
        ),
        ({"outer_split": "test"}, "`outer_split` must be.*='test'"),
        ({"outer_split": None}, "`outer_split` must be.*=None"),
        ({"hidden": 1.5}, r"`hidden` must be a.* in \[0, 1\].*hidden=1.5"),
        ({"train_weight": -0.1}, "`train_weight` must be a.*=-0.1"),
        ({"outer_loss": "log"}, "`outer_loss` must be one of .*='log'"),
        ({"normalize": 1}, "`normalize` must be True or False.*=1"),
        ({"difference_clip": 0.0}, "`difference_clip` must be a.*=0.0"),
        ({"mapping": "vmap"}, "`mapping` must be one of .*mapping='vmap'"),
    ],
)
def test_bad_settings_are_refused(kind, config, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"pairs": 4, "horizon": 20, **config})


@pytest.mark.parametrize("kind", KINDS)
def test_members_and_sides_share_problems(kind, analytic_run, outer_steps):
    estimator = kind(pairs=8, horizon=20)
    run = analytic_run(loss_of_problem, theta_size=3)
    (grads, losses, state, _), *_ = outer_steps(
        estimator, run, np.ones([5, 3], np.float32), 1
    )
    assert len(np.unique(state.seeds, axis=0)) == 8  # Each pair has its own.
    expected = np.mean(state.seeds[:, 1])
    np.testing.assert_allclose(losses, np.full(5, expected), rtol=1e-5)
    np.testing.assert_array_equal(grads, np.zeros([5, 3]))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_standard_normal_and_independent(kind, analytic_run):
    estimator = kind(pairs=16, horizon=20)
    run = analytic_run(loss_of_problem, theta_size=40)
    state = estimator.initial_state(run, 8, 16, 0)
    first, other = (
        estimator.draw(state, tf.constant([1, i]), 0)[1].numpy() for i in (0, 1)
    )
    assert first.shape == (8, 16, 40)
    assert abs(first.mean()) < 4 / np.sqrt(first.size)
    assert first.std() == pytest.approx(1.0, abs=0.04)
    rows = np.concatenate([first, other]).reshape(-1, 40)
    assert len(np.unique(rows)) > 0.99 * rows.size


def test_replicas_draw_their_share_of_the_same_noise(analytic_run):
    estimator = PES(pairs=4, horizon=80, truncation=20)
    run, seed = analytic_run(loss_of_problem, theta_size=3), tf.constant([5, 6])
    whole = estimator.initial_state(run, 2, 4, 0)
    problems, noise = estimator.draw(whole, seed, 0)
    for first in (0, 2):
        share = estimator.initial_state(run, 2, 2, first)
        own = slice(first, first + 2)
        np.testing.assert_array_equal(share.ends, whole.ends[own])
        own_problems, own_noise = estimator.draw(share, seed, first)
        for mine, everyones in zip(own_problems, problems, strict=True):
            np.testing.assert_array_equal(mine, everyones[own])
        np.testing.assert_array_equal(own_noise, noise[:, own])


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_is_the_mean_of_the_pairs(kind):
    estimator = kind(pairs=2, horizon=20, sigma=0.5)
    losses = tf.constant([[[3.0, 1.0], [0.0, 4.0]]])  # [p, n, 2]
    noise = tf.constant([[[1.0, -1.0], [2.0, 0.5]]])  # [p, n, d]
    # Differences 2 and -4, over 2 * 0.5.
    expected = [[(2 * 1 - 4 * 2) / 2, (2 * -1 - 4 * 0.5) / 2]]
    np.testing.assert_allclose(estimator.combine(losses, noise), expected)


def test_every_entry_is_clipped_by_itself():
    estimator = ES(pairs=2, horizon=20, clip=0.1)
    clipped = estimator.clipped(tf.constant([[0.05, 3.0], [-0.2, -1e30]]))
    np.testing.assert_allclose(clipped, [[0.05, 0.1], [-0.1, -0.1]])


class NothingLearned(Rule):
    """Random steps that depend only on the step, not on theta."""

    def theta_shapes(self):
        return {"unused": (2,), "either": ()}

    def init_slots(self, theta, params):
        return [tf.zeros([]) for _ in params]

    def update(self, theta, grads, params, slots, signals):
        return [0.1 * tf.sign(g) for g in grads], slots


def test_a_theta_without_effect_has_no_meta_gradient(tiny_task):
    """Both sides have the same initial values, batches and their order."""
    estimator = PES(pairs=3, horizon=4, truncation=2)
    run = estimator.inner_run(NothingLearned(), tiny_task)
    assert isinstance(run, InnerRun) and run.num_steps == 2
    state = estimator.initial_state(run, 2, 3, 0)
    thetas, seen = tf.zeros([2, 3]), set()
    for i in range(3):
        problems, drawn = estimator.draw(state, tf.constant([2, i]), 0)
        batches = run.draw_batches(problems.seeds, state.steps, "train")
        grads, losses, state = estimator.estimate(
            run, thetas, state, problems, drawn, batches
        )
        np.testing.assert_array_equal(grads, np.zeros([2, 3]))
        assert losses[0] == losses[1]
        seen.add(float(losses[0]))
    assert len(seen) == 3


def test_divergence_gives_finite_gradients(tiny_rule, tiny_task, tiny_theta):
    estimator = PES(pairs=2, horizon=4, truncation=2)
    run = estimator.inner_run(tiny_rule, tiny_task)
    sane = tiny_theta(0)
    thetas = [sane, *(np.full_like(sane, v) for v in (1e30, np.inf, np.nan))]
    estimate = tf.function(
        estimator.estimate, jit_compile=True, autograph=False
    )
    state = estimator.initial_state(run, 4, 2, 0)
    for i in range(3):
        problems, drawn = estimator.draw(state, tf.constant([3, i]), 0)
        batches = run.draw_batches(problems.seeds, state.steps, "train")
        grads, losses, state = estimate(
            run, np.stack(thetas), state, problems, drawn, batches
        )
        clipped = estimator.clipped(grads).numpy()
        assert np.all(np.isfinite(losses))
        assert np.all(losses <= tiny_task.max_loss)
        assert np.all(np.abs(clipped) <= estimator.clip)
        assert np.any(clipped[0] != 0.0)  # The others leave it alone.


@pytest.mark.parametrize("mapping", ["map", "vectorized"])
def test_inner_runs_get_the_mapping_of_the_estimator(
    mapping, tiny_rule, tiny_task
):
    estimator = PES(pairs=2, horizon=4, truncation=2, mapping=mapping)
    run = estimator.inner_run(tiny_rule, tiny_task)
    assert (run.mapping, run.num_steps) == (mapping, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_normalized_differences_have_no_unit(kind, analytic_run, outer_steps):
    """Losses a million times as large give the same estimates."""

    def step_of(scale):
        def step(thetas, states, seeds):
            bend = tf.cast(seeds[:, 0] % 5, tf.float32) / 5.0
            return states, scale * tf.sin(thetas[:, 0] + bend)

        return step

    estimator = kind(pairs=4, horizon=20, normalize=True)
    thetas = np.float32([[0.1], [0.7]])
    small, large = (
        outer_steps(estimator, analytic_run(step_of(scale), 1), thetas, 4)
        for scale in (1.0, 2.0**20)
    )
    for (grads, *_), (other, *_) in zip(small, large, strict=True):
        assert np.all(grads != 0.0)
        np.testing.assert_allclose(grads, other, rtol=1e-3)


def test_differences_are_divided_by_their_running_rms_and_clipped():
    estimator = ES(pairs=4, horizon=20, normalize=True, difference_clip=1.5)
    # Differences 2, 0, 0, 0: their RMS is 1.
    losses = tf.constant([[[2.0, 0.0], [1.0, 1.0], [0.0, 0.0], [3.0, 3.0]]])
    noise = tf.ones([1, 4, 1])
    estimate = estimator.combine(losses, noise, tf.constant([1.0]))
    np.testing.assert_allclose(estimate, [[1.5 / 4]])  # 2 is clipped to 1.5.
    estimate = estimator.combine(losses, noise, tf.constant([16.0]))
    np.testing.assert_allclose(estimate, [[0.5 / 4]], rtol=1e-6)


def test_the_running_rms_is_the_members_own_and_starts_at_the_first(
    analytic_run, outer_steps
):
    def step(thetas, states, seeds):
        return states, 3.0 * thetas[:, 0]

    estimator = ES(pairs=2, horizon=1, sigma=0.5, normalize=True)
    run = analytic_run(step, 1)
    results = outer_steps(estimator, run, np.float32([[0.0], [1.0]]), 3)
    expected = None
    for _, _, state, drawn in results:
        # A difference is 3 * 2 * sigma * noise.
        new = np.mean((3.0 * drawn.numpy()[:, :, 0]) ** 2, axis=1)
        expected = new if expected is None else 0.9 * expected + 0.1 * new
        np.testing.assert_allclose(state.squares, expected, rtol=1e-4)


def test_the_outer_loss_is_a_mix_of_both_losses(tiny_rule, tiny_task):
    losses = {}
    for weight in (0.0, 0.25, 1.0):
        estimator = PES(
            pairs=2,
            horizon=4,
            truncation=2,
            outer_split="outer_valid",
            train_weight=weight,
        )
        run = estimator.inner_run(tiny_rule, tiny_task)
        state = estimator.initial_state(run, 1, 2, 0)
        problems, drawn = estimator.draw(state, tf.constant([2, 0]), 0)
        batches = run.draw_batches(problems.seeds, state.steps, "outer_valid")
        thetas = tf.zeros([1, run.theta_vector.size])
        _, losses[weight], _ = estimator.estimate(
            run, thetas, state, problems, drawn, batches
        )
    expected = 0.75 * losses[0.0] + 0.25 * losses[1.0]
    assert losses[0.0] != losses[1.0]
    np.testing.assert_allclose(losses[0.25], expected, rtol=1e-5)


def test_rules_that_ignore_horizons_get_none_that_vary(tiny_rule):
    varying = LogUniform(20, 40)
    with pytest.raises(ValueError, match="`horizon` must be an integer for a"):
        PES(pairs=2, horizon=varying).check_rule(tiny_rule)
    with pytest.raises(ValueError, match="`hidden` must be 0 for a rule"):
        PES(pairs=2, horizon=20, hidden=0.1).check_rule(tiny_rule)
    PES(pairs=2, horizon=20).check_rule(tiny_rule)

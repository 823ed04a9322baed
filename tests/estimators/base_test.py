"""The core of the estimators: settings, problems, antithetic differences."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.estimators import ES, PES, InnerRun
from keras_lopt.rules import Rule

KINDS = [ES, PES]


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
    seeds, noise = estimator.draw(whole, seed, 0)
    for first in (0, 2):
        share = estimator.initial_state(run, 2, 2, first)
        own = slice(first, first + 2)
        np.testing.assert_array_equal(share.ends, whole.ends[own])
        own_seeds, own_noise = estimator.draw(share, seed, first)
        np.testing.assert_array_equal(own_seeds, seeds[own])
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
        seeds, drawn = estimator.draw(state, tf.constant([2, i]), 0)
        batches = run.draw_batches(seeds, state.steps, "train")
        grads, losses, state = estimator.estimate(
            run, thetas, state, seeds, drawn, batches
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
        seeds, drawn = estimator.draw(state, tf.constant([3, i]), 0)
        batches = run.draw_batches(seeds, state.steps, "train")
        grads, losses, state = estimate(
            run, np.stack(thetas), state, seeds, drawn, batches
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

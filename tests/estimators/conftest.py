"""Stand-ins and small real runs that the tests of estimators share."""

import functools

import pytest
import tensorflow as tf

from keras_lopt import rules, tasks
from keras_lopt.rules import ThetaVector


class AnalyticRun:
    """Stands in for an `InnerRun`: losses from a formula, no rule, no task.

    Args:
        step: Function (thetas [b, d], states [b, s], seeds [b, 2]) -> new
            states and losses [b] of one inner step. Problems start from 0.
        theta_size, state_size: d and s.
        num_steps: Steps per call.
    """

    def __init__(self, step, theta_size, state_size=1, num_steps=1):
        self.step, self.num_steps = step, num_steps
        self.theta_vector = self  # Only its size is needed.
        self.size = theta_size
        self.state_size = state_size

    def blank_states(self, count):
        return tf.zeros([count, self.state_size])

    def advance(
        self, thetas, states, seeds, steps, problems, batches, horizons
    ):
        del batches, horizons
        is_new = tf.equal(tf.gather(steps, problems), 0)[:, None]
        states = tf.where(is_new, 0.0, states)
        seeds = tf.gather(seeds, problems)
        total = tf.zeros(len(thetas))
        for _ in range(self.num_steps):
            states, losses = self.step(thetas, states, seeds)
            total += losses
        return states, total / self.num_steps, total / self.num_steps


@pytest.fixture
def analytic_run():
    return AnalyticRun


@pytest.fixture
def outer_steps():
    """Callable: runs outer steps of one replica at the same thetas [p, d].

    Returns a list with one (gradients, losses, state, drawn noise) per step.
    """

    def run(estimator, inner_run, thetas, count, seed=0):
        members, pairs = len(thetas), estimator.pairs
        state = estimator.initial_state(inner_run, members, pairs, 0)
        results = []
        for i in range(count):
            problems, drawn = estimator.draw(state, tf.constant([seed, i]), 0)
            grads, losses, state = estimator.estimate(
                inner_run, thetas, state, problems, drawn, None
            )
            results.append((grads, losses, state, drawn))
        return results

    return run


@pytest.fixture(scope="session")
def tiny_rule():
    """A rule with 29 thetas and large steps."""
    return rules.get("fused", hidden_units=1, hidden_layers=1, step_mult=0.1)


@pytest.fixture(scope="session")
def tiny_task():
    """An MLP 13-2-3 on wines, batch 4."""
    return tasks.get("wine_mlp", hidden=(2,), activation="tanh", batch_size=4)


@pytest.fixture(scope="session")
def tiny_theta(tiny_rule):
    """Callable: seed -> theta of `tiny_rule` as a vector."""
    return functools.cache(
        lambda seed: ThetaVector(tiny_rule).pack(tiny_rule.init_theta(seed))
    )

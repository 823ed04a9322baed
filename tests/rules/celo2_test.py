"""The celo2 rule against the mathematics of its paper, written in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import imported_files
from tests.rules import in_numpy

SHAPES = [(), (7,), (4, 6), (6, 4), (3, 5, 2), (3, 3, 2, 4), (4, 4)]
BASE = {"is_orthogonal": False, "adam_for_vectors": False}


def newton_schulz(x):
    """Five iterations on one matrix, by its singular values in float64."""
    u, s, v = np.linalg.svd(x / (np.linalg.norm(x) + 1e-8), False)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ v


class Celo2InNumpy:
    """celo2 for one list of tensors; `leaves` are weights to import."""

    def __init__(self, leaves, params, config):
        self.weights = {
            path.rpartition("/")[2]: np.asarray(value, np.float64)
            for path, value in leaves.items()
        }
        self.params = [np.asarray(p, np.float64) for p in params]
        self.config = config
        self.histories = [
            in_numpy.TensorHistory(p.shape or (1,), 0.95, 1e-8) for p in params
        ]
        self.moments = [[0.0, 0.0] for _ in params]
        self.count = 0

    def update(self, grads):
        self.count += 1
        for t, grad in enumerate(np.asarray(g, np.float64) for g in grads):
            if grad.ndim < 2 and self.config["adam_for_vectors"]:
                step = 20.0 * self.adam(t, grad)
            else:
                step = self.learned(t, np.clip(grad, -1000.0, 1000.0))
            step = self.config["step_mult"] * step
            self.params[t] = self.params[t] - step.reshape(grad.shape)

    def adam(self, t, grad):
        m, v = self.moments[t]
        m, v = 0.9 * m + 0.1 * grad, 0.95 * v + 0.05 * np.square(grad)
        self.moments[t] = [m, v]
        root = np.sqrt(v / (1.0 - 0.95**self.count))
        return m / (1.0 - 0.9**self.count) / (root + 1e-8)

    def learned(self, t, grad):
        g, p = in_numpy.at_least_1d(grad), in_numpy.at_least_1d(self.params[t])
        groups = self.histories[t].take(g, p)
        if p.ndim < 2:
            groups = groups[:9]
        axes = tuple(range(p.ndim))[-2:]
        inputs = [in_numpy.normalized(x, axes, 1e-9) for x in groups]
        outputs = in_numpy.mlp(self.weights, inputs)
        step = outputs[..., 0] * np.exp(
            outputs[..., 1] * self.config["exp_mult"]
        )
        if self.config["is_orthogonal"] and p.ndim >= 2:
            matrices = step.reshape(-1, *step.shape[-2:])
            step = np.stack([newton_schulz(x) for x in matrices])
            step = step.reshape(p.shape)
        return in_numpy.normalized(step, axes, 1e-9)


def problem(rule, rng):
    """Weights to import, params, and gradients of some steps."""
    leaves = imported_files.leaves_of(rule)
    params = [rng.normal(size=s).astype(np.float32) for s in SHAPES]
    grads = [
        [rng.normal(scale=s, size=p.shape).astype(np.float32) for p in params]
        for s in (1.0, 0.01, 3000.0, 1.0, 0.1, 1.0)
    ]
    return leaves, params, grads


def check(found, expected, start):
    """Checks that they agree to 1e-4 of the distance they moved."""
    for value, other, first in zip(found, expected, start, strict=True):
        moved = np.max(np.abs(other - first))
        np.testing.assert_allclose(value, other, rtol=3e-7, atol=1e-4 * moved)


@pytest.mark.parametrize(
    "config",
    [
        {},
        BASE,
        {**BASE, "exp_mult": 0.1, "hidden_units": 4},
        {"adam_for_vectors": False},
    ],
    ids=["default", "base", "magnitude", "vectors_too"],
)
def test_steps_agree_with_the_mathematics_of_the_paper(rng, config):
    rule = rules.get("celo2", step_mult=0.1, **config)
    leaves, start, grads = problem(rule, rng)
    expected = Celo2InNumpy(leaves, start, rule.get_config())
    theta = checkpoints.import_theta(rule, leaves)
    params = [tf.constant(p) for p in start]
    slots = rule.init_slots(theta, params)
    for step, given in enumerate(grads):
        signals = {"step": step}
        deltas, slots = rule.update(theta, given, params, slots, signals)
        params = [p + d for p, d in zip(params, deltas, strict=True)]
        expected.update(given)
        check(params, expected.params, start)


def test_the_keras_optimizer_takes_the_same_steps(rng):
    rule = rules.get("celo2")
    leaves, start, grads = problem(rule, rng)
    expected = Celo2InNumpy(leaves, start, rule.get_config())
    theta = checkpoints.import_theta(rule, leaves)
    optimizer = LearnedOptimizer(rule, theta)
    variables = [keras.Variable(p) for p in start]
    optimizer.build(variables)

    @tf.function(jit_compile=True, autograph=False)
    def train_step(given):
        optimizer.apply_gradients(zip(given, variables))

    for given in grads:
        train_step([tf.constant(g) for g in given])
        expected.update(given)
    check(variables, expected.params, start)


def test_step_mult_is_the_rms_of_the_step(rng):
    rule = rules.get("celo2", step_mult=0.01, **BASE)
    theta, params = rule.init_theta(0), [np.ones((4, 3), np.float32)]
    slots = rule.init_slots(theta, params)
    for scale in (1e-4, 1e4):
        grads = [scale * rng.normal(size=(4, 3)).astype(np.float32)]
        (delta,), _ = rule.update(theta, grads, params, slots, {"step": 0})
        rms = np.sqrt(np.mean(np.square(delta)))
        np.testing.assert_allclose(rms, 0.01, rtol=1e-3)


def test_without_bias_correction_adam_is_that_of_the_training_runs():
    """Decays 0.9 and 0.999, and epsilon under the root; by hand."""
    rule = rules.get("celo2", step_mult=0.1, bias_correction=False)
    theta = rule.init_theta(seed=0)
    params = [tf.constant([1.0, -1.0])]
    slots = rule.init_slots(theta, params)
    momentum = variance = 0.0
    for step, grad in enumerate(np.float32([[2.0, 1e-5], [-1.0, 1e-5]])):
        deltas, slots = rule.update(
            theta, [tf.constant(grad)], params, slots, {"step": step}
        )
        momentum = 0.9 * momentum + 0.1 * grad
        variance = 0.999 * variance + 0.001 * grad**2
        expected = -20.0 * 0.1 * momentum / np.sqrt(variance + 1e-8)
        np.testing.assert_allclose(deltas[0], expected, rtol=1e-5)
    corrected = rules.get("celo2", step_mult=0.1)
    first, _ = corrected.update(
        theta,
        [tf.constant([2.0, 1.0])],
        params,
        corrected.init_slots(theta, params),
        {"step": 0},
    )
    np.testing.assert_allclose(first[0], [-2.0, -2.0], rtol=1e-5)

"""The celo rule against the mathematics of its paper, written in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import imported_files
from tests.rules import in_numpy

HORIZON = 30
SHAPES = [(), (7,), (4, 6), (3, 5, 2), (3, 3, 2, 4), (4, 4)]
LOSSES = [2.0, 1.7, 9.0, 1.4, 1.5, 1.1, 0.9, 1.0]


class LossBuffer:
    """Running means of the loss over 10 spans, up to the horizon."""

    def __init__(self):
        self.decays = np.exp(-1.0 / np.logspace(1.0, np.log10(HORIZON), 10))
        self.means = np.zeros(10)
        self.lowest = np.full(10, 999999999999.0)
        self.count = 0

    def take(self, loss):
        """The 9 features after one more loss."""
        bias = 1.0 - self.decays ** (self.count + 1)
        cap = np.max(self.means / bias) if self.count else loss
        loss = min(2.0 * abs(cap), loss)
        self.means = self.decays * self.means + (1.0 - self.decays) * loss
        self.lowest = np.minimum(self.lowest, self.means / bias)
        self.count += 1
        if self.count <= 2:
            return np.zeros(9)
        # Here the authors' code has already counted the loss.
        now = self.means / (1.0 - self.decays**self.count)
        spread = np.maximum(1e-8, now[1:] - self.lowest[:-1])
        return np.clip((now[:-1] - self.lowest[:-1]) / spread - 1.0, -1.0, 1.0)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class CeloInNumpy:
    """celo for one list of tensors; `leaves` are weights to import."""

    def __init__(self, leaves, params, step_mult, is_scheduled=True):
        self.leaves = {k: np.asarray(v, float) for k, v in leaves.items()}
        self.params = [np.asarray(p, np.float64) for p in params]
        self.step_mult, self.is_scheduled = step_mult, is_scheduled
        self.histories = [
            in_numpy.TensorHistory(p.shape or (1,), 0.999, 1e-6) for p in params
        ]
        self.buffer, self.step = LossBuffer(), 0
        self.state = [
            np.repeat(self.leaves[f"lstm_init_state/{k}"], len(params), axis=0)
            for k in ("hidden", "cell")
        ]

    def linear(self, name, x):
        path = f"rnn_params/{name}"
        return x @ self.leaves[f"{path}/w"] + self.leaves[f"{path}/b"]

    def lstm(self, inputs):
        told = np.maximum(self.linear("linear_1", inputs), 0.0)
        x = self.linear("linear_2", inputs) + told.max(axis=0, keepdims=True)
        hidden, cell = self.state
        gates = self.linear("rnn/linear", np.concatenate([x, hidden], axis=1))
        i, g, f, o = np.split(gates, 4, axis=1)
        cell = sigmoid(f + 1.0) * cell + sigmoid(i) * np.tanh(g)
        self.state = [sigmoid(o) * np.tanh(cell), cell]
        return self.state[0]

    def update(self, grads, loss):
        points = np.array([0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1])
        time = np.tanh((self.step / HORIZON - points) * 10.0)
        row = np.concatenate([time, self.buffer.take(loss)])
        hidden = self.lstm(np.repeat(row[None], len(grads), axis=0))
        controls = np.exp(self.linear("rnn_to_controls", hidden))
        controls /= controls.sum(axis=1, keepdims=True)
        rates = np.exp(self.linear("step_size", hidden)[:, 0]) * 0.1
        for t, grad in enumerate(grads):
            weights = {
                path.rpartition("/")[2]: np.mean(
                    bank * controls[t].reshape(-1, *[1] * (bank.ndim - 1)),
                    axis=0,
                )
                for path, bank in self.leaves.items()
                if path.startswith("ff_mod_stack")
            }
            step = self.one(t, weights, np.clip(grad, -1000.0, 1000.0))
            if self.is_scheduled:
                step = rates[t] * step
            self.params[t] = self.params[t] - step.reshape(grad.shape)
        self.step += 1

    def one(self, t, weights, grad):
        g, p = in_numpy.at_least_1d(grad), in_numpy.at_least_1d(self.params[t])
        axes = tuple(range(p.ndim))
        inputs = [
            in_numpy.normalized(x, axes, 1e-5)
            for x in self.histories[t].take(g, p)
        ]
        outputs = in_numpy.mlp(weights, inputs)
        scale = np.sqrt(np.mean(np.square(p)) + 1e-9)
        step = outputs[..., 0] * scale * np.exp(outputs[..., 1] * 1e-3)
        return step * self.step_mult


def problem(rule, rng):
    """Weights to import, params, and gradients of some steps."""
    leaves = {
        path: (0.3 * value if "rnn" in path else value)
        for path, value in imported_files.leaves_of(rule).items()
    }
    params = [rng.normal(size=s).astype(np.float32) for s in SHAPES]
    grads = [
        [rng.normal(scale=s, size=p.shape).astype(np.float32) for p in params]
        for s in (1.0, 0.01, 3000.0, 1.0, 1e-4, 0.1, 1.0, 1.0)
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
        {"is_scheduled": False},
        {"lstm_units": 5, "bank_size": 3},
    ],
    ids=["default", "phase_1", "bank"],
)
def test_steps_agree_with_the_mathematics_of_the_paper(rng, config):
    rule = rules.get("celo", step_mult=0.1, **config)
    leaves, start, grads = problem(rule, rng)
    expected = CeloInNumpy(leaves, start, 0.1, rule.is_scheduled)
    theta = checkpoints.import_theta(rule, leaves)
    params = [tf.constant(p) for p in start]
    slots = rule.init_slots(theta, params)
    for step, (given, loss) in enumerate(zip(grads, LOSSES, strict=True)):
        signals = {"step": step, "horizon": HORIZON, "train_loss": loss}
        deltas, slots = rule.update(theta, given, params, slots, signals)
        params = [p + d for p, d in zip(params, deltas, strict=True)]
        expected.update(given, loss)
        check(params, expected.params, start)


def test_the_keras_optimizer_takes_the_same_steps(rng):
    rule = rules.get("celo")
    leaves, start, grads = problem(rule, rng)
    expected = CeloInNumpy(leaves, start, step_mult=1e-3)
    theta = checkpoints.import_theta(rule, leaves)
    optimizer = LearnedOptimizer(rule, theta, horizon=HORIZON)
    variables = [keras.Variable(p) for p in start]
    optimizer.build(variables)

    @tf.function(jit_compile=True, autograph=False)
    def train_step(given, loss):
        optimizer.scale_loss(loss)
        optimizer.apply_gradients(zip(given, variables))

    for given, loss in zip(grads, LOSSES, strict=True):
        train_step([tf.constant(g) for g in given], tf.constant(loss))
        expected.update(given, loss)
    check(variables, expected.params, start)


def test_the_lstm_state_does_not_grow_with_the_model(rng):
    rule = rules.get("celo")
    theta = rule.init_theta(0)
    slots = rule.init_slots(theta, [np.zeros(s) for s in SHAPES])
    assert slots["lstm"]["hidden"].shape == (1, 64)
    assert sum(leaf.size for leaf in theta.values()) == 37_089

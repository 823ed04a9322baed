"""A rule to test, and its steps computed by hand."""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_lopt import LearnedOptimizer, optimizers, rules

#: Sizes that compile in a second, for rules with large defaults.
TINY = {
    "celo": {"lstm_units": 4},
    "celo2": {"hidden_units": 4},
    "hierarchical": {"lstm_units": 3, "mlp_units": 3},
    "mlp": {"hidden_units": 4},
    "scale_free": {"hidden_units": 4, "step_hidden_units": 4},
    "velo": {"lstm_units": 4, "bank_size": 2},
}
HORIZON = 40
START = [
    np.float32([[1.0, -2.0], [0.5, 3.0], [-0.7, 0.2]]),
    np.float32([0.1, -0.2]),
]
STEPS = [
    [
        np.float32([[3.0, -1.0], [0.2, 4.0], [0.5, -2.0]]),
        np.float32([-2.0, 0.5]),
    ],
    [
        np.float32([[-1.0, 1.0], [2.0, 0.1], [0.3, 0.4]]),
        np.float32([0.3, 0.7]),
    ],
]
LOSSES = [2.0, 1.5]


@dataclasses.dataclass(frozen=True)
class Case:
    """A registered rule with a theta that takes large steps."""

    rule: rules.Rule
    theta: dict

    @classmethod
    def of(cls, name):
        config = dict(TINY.get(name, {}))
        fields = {f.name for f in dataclasses.fields(rules.get(name))}
        if "step_mult" in fields:
            config["step_mult"] = 0.05
        rule = rules.get(name, **config)
        return cls(rule, rule.init_theta(seed=1))

    def optimizer(self, learning_rate=3.0, horizon=HORIZON, **kwargs):
        return LearnedOptimizer(
            self.rule, self.theta, learning_rate, horizon, **kwargs
        )

    def by_hand(self, steps=STEPS, start=START, losses=LOSSES, rates=None):
        """Params after `rule.update` alone. `steps` may be callables."""
        params = [tf.convert_to_tensor(p) for p in start]
        slots = self.rule.init_slots(self.theta, params)
        for step, (grads, loss) in enumerate(zip(steps, losses)):
            if callable(grads):
                grads, loss = grads(params)
            signals = {"step": step, "horizon": HORIZON, "train_loss": loss}
            deltas, slots = self.rule.update(
                self.theta, grads, params, slots, signals
            )
            rate = 3.0 if rates is None else rates[step]
            params = [p + rate * d for p, d in zip(params, deltas)]
        return [p.numpy() for p in params]


def apply(optimizer, steps=STEPS, start=START, losses=LOSSES, dtype="float32"):
    """Variables v0, v1, ... after `apply` with these gradients."""
    variables = [
        keras.Variable(p, dtype=dtype, name=f"v{i}")
        for i, p in enumerate(start)
    ]
    apply_to(optimizer, variables, steps, losses)
    return variables


def apply_to(optimizer, variables, steps=STEPS, losses=LOSSES):
    for grads, loss in zip(steps, losses, strict=True):
        optimizer.scale_loss(tf.constant(loss))
        grads = [
            g
            if g is None or isinstance(g, tf.IndexedSlices)
            else tf.cast(g, v.dtype)
            for g, v in zip(grads, variables)
        ]
        optimizer.apply(grads, variables)


# Models.

_RNG = np.random.default_rng(3)
X = _RNG.normal(size=(8, 3)).astype(np.float32)
Y = np.tanh(X @ _RNG.normal(size=(3, 2))).astype(np.float32)
BATCH = 4


def make_model(model_class=keras.Sequential):
    """One Dense layer, 3 -> 2, with the weights START."""
    model = model_class([keras.Input((3,)), keras.layers.Dense(2)])
    model.set_weights(START)
    return model


def compiled(optimizer, **kwargs):
    model = make_model()
    model.compile(optimizer, loss="mse", **(kwargs or {"run_eagerly": True}))
    return model


def fit(model, epochs=1, x=X, y=Y, **kwargs):
    """Trains with two steps per epoch. Returns the epochs' losses."""
    history = model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        **kwargs,
    )
    return history.history["loss"]


def fit_steps(epochs=1):
    """The arguments of `by_hand` that do the steps of `fit`."""

    def grads_on(i):
        def grads(params):
            kernel, bias = params
            with tf.GradientTape() as tape:
                tape.watch(params)
                outputs = X[i : i + BATCH] @ kernel + bias
                loss = tf.reduce_mean((outputs - Y[i : i + BATCH]) ** 2)
            return tape.gradient(loss, params), loss

        return grads

    steps = [grads_on(i) for i in range(0, len(X), BATCH)] * epochs
    return {"steps": steps, "losses": [None] * len(steps)}


@contextlib.contextmanager
def policy(name):
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


# Comparisons.


def values(variables):
    return [
        keras.ops.convert_to_numpy(keras.ops.cast(v, "float32"))
        if isinstance(v, keras.Variable)
        else np.asarray(v, np.float32)
        for v in variables
    ]


def assert_equal(found, expected, rtol=1e-4, atol=3e-6, start=START):
    """Checks that they agree, and differ from `start`."""
    found, expected = values(found), values(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    if start is not None:
        assert differ(found, start)


def differ(first, second, by=1e-4):
    """Whether any entry differs by more than `by`."""
    pairs = zip(values(first), values(second), strict=True)
    return max(np.max(np.abs(a - b)) for a, b in pairs) > by


def assert_same_state(optimizer, other):
    for a, b in zip(optimizer.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def loss_scaled(optimizer, **kwargs):
    return optimizers.LossScaleOptimizer(optimizer, **kwargs)

"""The fused rule against a plain NumPy version of its specification."""

import numpy as np
import pytest

from keras_lopt import rules

TIME_SCALES = [1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5]


class NumpyFused:
    """Features last, no scales folded in, one array of features per tensor."""

    def __init__(self, theta, step_mult, exp_mult=1e-3):
        self.theta = theta
        self.step_mult, self.exp_mult = step_mult, exp_mult
        self.m = {decay: 0.0 for decay in (0.9, 0.99, 0.999)}
        self.r = 0.0

    def delta(self, g, p, t):
        for d in self.m:
            self.m[d] = d * self.m[d] + (1.0 - d) * g
        self.r = 0.999 * self.r + 0.001 * g**2
        scale = 1.0 / np.sqrt(self.r + 1e-6)
        momenta = list(self.m.values())
        columns = [g, p, *momenta, self.r]
        columns += [m * scale for m in momenta] + [scale, g * scale]
        normalized = [x / np.sqrt(1e-5 + np.mean(x**2)) for x in columns]
        time = [np.full_like(g, np.tanh(t / s - 1.0)) for s in TIME_SCALES]
        x = np.stack(normalized + time, axis=-1)  # [*shape, 22]
        num_layers = len(self.theta) // 2
        for i in range(num_layers):
            x = x @ self.theta[f"w{i}"] + self.theta[f"b{i}"]
            if i < num_layers - 1:
                x = np.maximum(x, 0.0)
        return -x[..., 0] * np.exp(x[..., 1] * self.exp_mult) * self.step_mult


@pytest.mark.parametrize(
    "config",
    [{}, {"hidden_units": 5, "hidden_layers": 1, "exp_mult": 0.1}],
    ids=["default", "one_layer"],
)
def test_fused_agrees_with_its_specification(rng, random_tensors, config):
    rule = rules.get("fused", step_mult=0.1, **config)
    theta = rule.init_theta(seed=3)
    theta = {  # Biases start at zero; this makes them matter.
        k: v + 0.3 * rng.normal(size=v.shape).astype(np.float32)
        for k, v in theta.items()
    }
    exact = {k: v.astype(np.float64) for k, v in theta.items()}
    expected = random_tensors(rng)
    params = [np.copy(p) for p in expected]
    references = [
        NumpyFused(exact, 0.1, config.get("exp_mult", 1e-3)) for _ in params
    ]
    slots = rule.init_slots(theta, params)
    for step in range(20):
        grads = random_tensors(rng)
        deltas, slots = rule.update(theta, grads, params, slots, {"step": step})
        params = [p + d for p, d in zip(params, deltas, strict=True)]
        expected = [
            p + reference.delta(g.astype(np.float64), p, step)
            for p, g, reference in zip(expected, grads, references)
        ]
        for value, target in zip(params, expected, strict=True):
            np.testing.assert_allclose(value, target, rtol=0.0, atol=1e-5)
    assert max(np.abs(target).max() for target in expected) > 0.5


def test_features_are_counted_from_their_list():
    rule = rules.get("fused")
    assert rule.num_entry_features == 11
    assert rule.theta_shapes()["w0"] == (22, 8)
    assert list(rule.theta_shapes()) == ["w0", "b0", "w1", "b1", "w2", "b2"]


@pytest.mark.parametrize(
    "config, message",
    [
        ({"hidden_units": 0}, "`hidden_units` must be an integer >= 1.*=0"),
        ({"hidden_units": 2.5}, "`hidden_units` must be an integer.*=2.5"),
        ({"hidden_layers": 0}, "`hidden_layers` must be an integer >= 1"),
        ({"hidden_units": True}, "`hidden_units` must be an integer.*=True"),
        ({"step_mult": 0.0}, r"`step_mult` must be .* in \(0, inf\).*=0.0"),
        ({"step_mult": float("nan")}, "`step_mult` must be .*=nan"),
        ({"step_mult": float("inf")}, "`step_mult` must be .*=inf"),
        ({"exp_mult": "big"}, "`exp_mult` must be .*='big'"),
    ],
)
def test_refuses_bad_hyperparameters(config, message):
    with pytest.raises(ValueError, match=message):
        rules.get("fused", **config)


def test_a_theta_that_follows_the_momentum_descends(fused, descent_theta):
    params = [np.full((4, 3), 2.0, np.float32)]
    slots = fused.init_slots(descent_theta, params)
    for step in range(30):
        deltas, slots = fused.update(
            descent_theta, [2.0 * params[0]], params, slots, {"step": step}
        )
        params = [params[0] + deltas[0].numpy()]
    assert np.abs(params[0]).max() < 1.0

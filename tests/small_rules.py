"""Every registered rule, at a size that compiles quickly."""

import numpy as np

from keras_lopt import rules

CONFIGS = {
    "celo": {"lstm_units": 8},
    "celo2": {"hidden_units": 4},
    "hierarchical": {"lstm_units": 8, "mlp_units": 4},
    "mlp": {"hidden_units": 4},
    "scale_free": {"hidden_units": 4, "step_hidden_units": 4},
    "velo": {"lstm_units": 8, "bank_size": 3},
}


def small_rule(name, **config):
    """The rule registered as `name`."""
    return rules.get(name, **{**CONFIGS.get(name, {}), **config})


def descending_theta(rule):
    """Theta of a per-parameter MLP whose output 0 is the normalized gradient.

    For rules whose first entry feature is the gradient.
    """
    theta = {k: np.zeros(v, np.float32) for k, v in rule.theta_shapes().items()}
    first = "w0_0" if "w0_0" in theta else "w0"
    theta[first][..., 0, :2] = 1.0, -1.0  # relu(x) - relu(-x) = x
    theta["w1"][..., 0, 0] = theta["w1"][..., 1, 1] = 1.0
    theta["w2"][..., :2, 0] = 1.0, -1.0
    if rule.name == "velo":
        theta["controls_b"][:] = 0.01  # Mixed with a factor of 100.
        theta["lr_b"][:] = 1.0
    if rule.name == "celo":
        theta["lr_b"][:] = np.log(10.0)  # exp(2.3) / 10 = 1
    return theta

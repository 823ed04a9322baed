"""bin/add_step_memory.py: the new file does what the old one does."""

import numpy as np
import pytest

from keras_lopt import checkpoints, rules
from tests import binaries


def add_step_memory(*args):
    with binaries.loaded("add_step_memory") as script:
        script.add_step_memory(*args)


def save(path, **config):
    rule = rules.get("scale_free", hidden_units=4, **config)
    theta = rule.init_theta(1)
    theta["step_w0"] += 0.3  # So that every feature matters.
    checkpoints.save(path, rule, theta, {})
    return str(path)


def trained(file, steps=5):
    """Parameters after some steps on random gradients, and the slots."""
    rng = np.random.default_rng(0)
    rule, theta, _ = checkpoints.load(file)
    params = [rng.normal(size=s).astype(np.float32) for s in [(4, 3), (5,)]]
    slots = rule.init_slots(theta, params)
    for step in range(steps):
        grads = [rng.normal(size=p.shape).astype(np.float32) for p in params]
        signals = {"step": step, "train_loss": 1.0, "horizon": 20}
        deltas, slots = rule.update(theta, grads, params, slots, signals)
        params = [p + np.asarray(d) for p, d in zip(params, deltas)]
    return params, slots


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_features": True, "by_horizon": True},
        {"model_features": True, "loss_features": True, "done_features": False},
    ],
)
def test_trains_as_before_and_remembers(tmp_path, config):
    old, new = save(tmp_path / "old.safetensors", **config), str(tmp_path / "n")
    add_step_memory(old, new, 3, 0)
    rule, theta, metadata = checkpoints.load(new)
    assert rule.step_memory == 3 and metadata == {"memory_added_to": old}
    assert {k: v.shape for k, v in theta.items()} == rule.theta_shapes()
    (expected, _), (found, slots) = trained(old), trained(new)
    for values, others in zip(found, expected):
        np.testing.assert_allclose(values, others, rtol=1e-5, atol=1e-6)
    assert np.shape(slots["memory"]) == (2, 3)
    assert np.all(np.abs(slots["memory"]) > 1e-4)
    other = str(tmp_path / "other")
    add_step_memory(old, other, 3, 1)
    assert np.any(checkpoints.load(other)[1]["step_w1"] != theta["step_w1"])


def test_refuses_a_second_memory_and_to_overwrite(tmp_path):
    file = save(tmp_path / "a.safetensors", step_memory=2)
    with pytest.raises(ValueError, match="`file` must be of a rule without a"):
        add_step_memory(file, str(tmp_path / "new"), 3, 0)
    with pytest.raises(FileExistsError, match="`out` must be a new file"):
        add_step_memory(file, file, 3, 0)

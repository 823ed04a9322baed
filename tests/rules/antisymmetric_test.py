"""The antisymmetric part of a rule's update."""

import numpy as np
import pytest

from keras_lopt import rules
from keras_lopt.rules import AntisymmetricRule

SHAPES = [(3, 4), (4,), ()]


def tensors(rng, scale=1.0):
    return [
        np.asarray(scale * rng.standard_normal(shape), np.float32)
        for shape in SHAPES
    ]


def run(rule, theta, params, gradients):
    """Deltas of every step, as vectors."""
    slots, deltas = rule.init_slots(theta, params), []
    for step, grads in enumerate(gradients):
        signals = {"step": step, "train_loss": 1.0, "horizon": 10}
        new, slots = rule.update(theta, grads, params, slots, signals)
        deltas.append(np.concatenate([np.ravel(d) for d in new]))
    return np.stack(deltas)


@pytest.mark.parametrize("name", ["fused", "adafac_mlp", "hierarchical"])
def test_opposite_gradients_give_opposite_updates(name, rng):
    rule = rules.get(name)
    theta, params = rule.init_theta(3), tensors(rng)
    gradients = [tensors(rng, 0.1) for _ in range(4)]
    opposite = [[-g for g in grads] for grads in gradients]
    odd = AntisymmetricRule(rule)
    deltas = run(odd, theta, params, gradients)
    np.testing.assert_array_equal(deltas, -run(odd, theta, params, opposite))
    # This does not hold for the rule itself, which drifts.
    plain = run(rule, theta, params, gradients)
    mirrored = run(rule, theta, params, opposite)
    assert np.max(np.abs(plain + mirrored)) > 0.1 * np.max(np.abs(plain))
    np.testing.assert_allclose(
        deltas, 0.5 * (plain - mirrored), rtol=1e-5, atol=1e-9
    )


def test_an_antisymmetric_rule_is_unchanged(rng):
    rule = rules.get("adam", learning_rate=0.1)
    theta, params = rule.init_theta(0), tensors(rng)
    gradients = [tensors(rng) for _ in range(3)]
    np.testing.assert_allclose(
        run(AntisymmetricRule(rule), theta, params, gradients),
        run(rule, theta, params, gradients),
        rtol=1e-6,
    )


def test_properties_are_those_of_the_inner_rule():
    fused = AntisymmetricRule(rules.get("fused"))
    assert not fused.hand_designed
    assert fused.theta_shapes() == rules.get("fused").theta_shapes()
    fused.check_theta(fused.init_theta(0))
    assert AntisymmetricRule(rules.get("sgd")).hand_designed
    velo = AntisymmetricRule(rules.get("velo"))
    assert velo.required_signals == rules.get("velo").required_signals
    assert "'antisymmetric velo'" in str(
        pytest.raises(ValueError, velo.check_signals, {}).value
    )


def test_the_inner_rule_must_be_a_rule():
    with pytest.raises(
        ValueError,
        match=r"`rule` must be a `rules.Rule`.* Received: rule='fused'",
    ):
        AntisymmetricRule("fused")

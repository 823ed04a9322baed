"""The hierarchical rule beyond its trace: validation loss, rank, clipping."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.rules.hierarchical import hierarchical
from keras_lopt.rules.memory import statistics
from tests import small_rules


@pytest.fixture
def rule():
    return small_rules.small_rule("hierarchical")


def run(rule, tensors, valid_losses, num_steps=3):
    """Params and slots after steps, of which some have a validation loss."""
    theta = rule.init_theta(0)
    params = [tf.constant(p) for p in tensors]
    slots = rule.init_slots(theta, params)
    for step in range(num_steps):
        signals = {"step": step, "train_loss": 2.0 - 0.1 * step}
        if step in valid_losses:
            signals["valid_loss"] = valid_losses[step]
        deltas, slots = rule.update(theta, params, params, slots, signals)
        params = [p + d for p, d in zip(params, deltas, strict=True)]
    return params, slots


def test_validation_losses_have_separate_statistics(rule, rng, random_tensors):
    tensors = random_tensors(rng)
    without, none = run(rule, tensors, {})
    with_one, one = run(rule, tensors, {1: 1.5})
    assert float(none["valid_loss"]["count"]) == 0.0
    assert float(one["valid_loss"]["count"]) == 1.0
    np.testing.assert_allclose(one["valid_loss"]["mean"], 0.05 * 1.5)
    np.testing.assert_allclose(
        one["valid_loss"]["variance"], 0.05 * (0.95 * 1.5) ** 2, rtol=1e-6
    )
    assert one["train_loss"] == none["train_loss"]
    assert any(np.any(a != b) for a, b in zip(without, with_one))


@pytest.mark.parametrize("decay", [0.9, 0.95])
def test_compiled_statistics_are_zero_before_the_first_loss(decay):
    compiled = tf.function(
        lambda: statistics.corrected(
            statistics.init_loss_statistics(), "mean", decay
        ),
        jit_compile=True,
    )
    assert float(compiled()) == 0.0


def test_the_loss_feature_is_in_standard_deviations():
    slots = statistics.init_loss_statistics()
    for loss in (1.0, 3.0, 2.0):
        slots = statistics.update_loss_statistics(slots, loss, 0.9)
    mean, variance = 0.0, 0.0
    for loss in (1.0, 3.0, 2.0):
        mean = 0.9 * mean + 0.1 * loss
        variance = 0.9 * variance + 0.1 * (mean - loss) ** 2
    scale = 1.0 / (1.0 - 0.9**3)
    expected = (2.0 - scale * mean) / np.sqrt(scale * variance)
    found = statistics.loss_feature(slots, 2.0, 0.9)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert float(statistics.loss_feature(slots, 1e6, 0.9)) == 5.0


def test_gradients_are_clipped_to_ten_times_their_usual_size():
    grads = [tf.constant([1e3, 0.01]), tf.constant([-1e3])]
    clipped, slots = hierarchical.clip_gradients(
        grads, hierarchical.init_clip()
    )
    limit = 10.0 * 0.01 / (1.0 - 0.99)
    np.testing.assert_allclose(clipped[0], [limit, 0.01], rtol=1e-4)
    np.testing.assert_allclose(clipped[1], [-limit], rtol=1e-4)
    size = np.sqrt((limit**2 / 2 + limit**2) / 2)
    np.testing.assert_allclose(
        slots["scale"], 0.99 * 0.01 + 0.01 * size, rtol=1e-4
    )


def test_more_than_four_dimensions_are_refused(rule):
    theta, params = rule.init_theta(0), [tf.ones(2), tf.ones((1, 2, 1, 2, 1))]
    message = r"rank 4 at most.*params\[1\] with shape=\(1, 2, 1, 2, 1\)"
    with pytest.raises(ValueError, match=message):
        rule.init_slots(theta, params)
    slots = rule.init_slots(theta, params[:1])
    with pytest.raises(ValueError, match=message):
        rule.update(
            theta, params, params, slots, {"step": 0, "train_loss": 1.0}
        )


def test_theta_has_the_size_of_the_paper():
    rule = small_rules.rules.get("hierarchical")
    assert sum(leaf.size for leaf in rule.init_theta(0).values()) == 35_799
    assert rule.theta_shapes()["w0"] == (54, 32)
    assert rule.theta_shapes()["lstm_w"] == (116, 256)

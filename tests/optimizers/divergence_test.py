"""What one bad step does to a training, with and without the guard.

The docstring of `DivergenceGuard` says the same.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer
from keras_lopt.optimizers import DivergenceGuard
from tests import small_rules

START = np.float32([[1.0, -2.0], [0.5, 3.0]])
GRAD = np.float32([[0.3, -0.1], [0.2, 0.4]])
#: What a rule remembers of a NaN, it remembers forever; scale_free takes
#: entries that are not finite as zeros.
RULES = {"fused": False, "hierarchical": False, "scale_free": True}


@pytest.fixture(params=RULES)
def name(request):
    return request.param


def trained(name, steps, guard=None):
    """The variable after steps, pairs of a gradient and a loss."""
    rule = small_rules.small_rule(name)
    optimizer = LearnedOptimizer(rule, rule.init_theta(0), 10.0, guard=guard)
    variable = keras.Variable(START)
    optimizer.build([variable])
    for grad, loss in steps:
        optimizer.scale_loss(tf.constant(loss))
        optimizer.apply([tf.constant(grad)], [variable])
    return variable.numpy(), optimizer


def with_nan():
    grad = GRAD.copy()
    grad[0, 0] = np.nan
    return grad


GOOD = (GRAD, 1.0)


def test_one_nan_gradient_without_a_guard_is_for_good(name):
    found, _ = trained(name, [GOOD, (with_nan(), 1.0), GOOD])
    assert np.all(np.isfinite(found)) == RULES[name]
    if not RULES[name]:
        assert np.isnan(found[0, 0])


@pytest.mark.parametrize(
    "bad", [(with_nan(), 1.0), (GRAD * np.inf, 1.0)], ids=["nan", "infinite"]
)
def test_one_bad_gradient_with_a_guard_is_a_step_left_out(name, bad):
    guard = DivergenceGuard(max_update=None)
    found, optimizer = trained(name, [GOOD, bad, GOOD], guard)
    assert np.all(np.isfinite(found))
    if not RULES[name]:
        before, _ = trained(name, [GOOD])
        skipped, _ = trained(name, [GOOD, bad], guard)
        np.testing.assert_array_equal(skipped, before)
        assert optimizer.guard_report()["skipped"] == 1


def test_an_infinite_loss_is_seen_by_rules_that_need_the_loss_only(name):
    bad = (GRAD, np.inf)
    found, _ = trained(name, [GOOD, bad, GOOD])
    expected, _ = trained(name, [GOOD, GOOD, GOOD])
    if name == "hierarchical":
        assert np.all(np.isnan(found))
        found, optimizer = trained(name, [GOOD, bad, GOOD], DivergenceGuard())
        assert np.all(np.isfinite(found))
        assert optimizer.guard_report()["skipped"] == 1
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("guard", [None, DivergenceGuard()])
def test_a_batch_of_zeros_is_a_step_like_any_other(name, guard):
    """Gradients of zero are finite: no guard, no NaN, and training goes on."""
    zeros = (np.zeros_like(GRAD), 0.0)
    found, optimizer = trained(name, [zeros, zeros, GOOD, zeros, GOOD], guard)
    assert np.all(np.isfinite(found))
    assert np.any(found != START)
    for variable in optimizer.variables:
        if "valid_loss" not in variable.path:  # NaN is none there.
            assert np.all(np.isfinite(variable.numpy())), variable.path
    if guard is not None:
        assert optimizer.guard_report()["skipped"] == 0

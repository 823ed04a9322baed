"""What LearnedOptimizer refuses, each with a clear error."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, rules


@pytest.mark.parametrize("rule", ["fused", rules.FusedRule, None])
def test_a_rule_must_be_an_instance(rule, theta):
    with pytest.raises(
        ValueError, match=r"`rule` must be a `rules.Rule`, .*rules.get\(name\)"
    ):
        LearnedOptimizer(rule, theta)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"w1": np.ones((8, 9), np.float32)}, r"'w1'.*\(8, 8\).*\(8, 9\)"),
        ({"w1": np.ones((8, 8))}, "'w1'.*must be float32.*float64"),
        ({"w9": np.ones(1, np.float32)}, r"must have the leaves.*\['w9'\]"),
        ({"b2": np.float32([0, np.inf])}, "'b2'.*must be finite.*1 non-finite"),
    ],
)
def test_theta_must_fit_the_rule(fused, theta, change, message):
    with pytest.raises(ValueError, match=message):
        LearnedOptimizer(fused, {**theta, **change})


@pytest.mark.parametrize("theta", ["best.safetensors", np.ones(3)])
def test_theta_must_be_a_dict(fused, theta):
    with pytest.raises(ValueError, match="`theta` must be a dict .*Received"):
        LearnedOptimizer(fused, theta)


@pytest.mark.parametrize("horizon", [0, -5, 1.5, True, "100"])
def test_the_horizon_must_be_a_number_of_steps(fused, theta, horizon):
    with pytest.raises(
        ValueError, match=f"`horizon` must be an integer >= 1.*={horizon!r}"
    ):
        LearnedOptimizer(fused, theta, horizon=horizon)


@pytest.mark.parametrize(
    "dtype, name", [("int32", "int32"), ("complex64", "complex64")]
)
def test_variables_must_be_real(fused, theta, dtype, name):
    variable = tf.Variable([1, 2], dtype=dtype, name="odd")
    with pytest.raises(
        ValueError, match=f"must be real floating point.*odd.*dtype={name}"
    ):
        LearnedOptimizer(fused, theta).build([variable])


def test_variables_must_have_entries(fused, theta):
    variable = keras.Variable(np.ones((3, 0), np.float32), name="hollow")
    with pytest.raises(
        ValueError, match=r"at least one entry.*hollow.*shape=\(3, 0\)"
    ):
        LearnedOptimizer(fused, theta).build([variable])


def test_a_refused_variable_leaves_the_optimizer_unbuilt(fused, theta):
    optimizer = LearnedOptimizer(fused, theta)
    before = len(optimizer.variables)
    with pytest.raises(ValueError, match="real floating point"):
        optimizer.build(
            [keras.Variable([1.0]), keras.Variable([1], dtype="int32")]
        )
    assert len(optimizer.variables) == before
    optimizer.apply([tf.constant([1.0])], [keras.Variable([1.0])])
    assert int(optimizer.iterations) == 1


def test_variables_that_it_was_not_built_for_are_refused(fused, theta):
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build([keras.Variable([1.0])])
    with pytest.raises(ValueError, match="Unknown variable.*originally built"):
        optimizer.apply_gradients([(tf.ones(1), keras.Variable([1.0]))])


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    "shapes, message",
    [
        (
            [(2, 3)],
            "one gradient per trainable variable. .*: 1 gradients and 2",
        ),
        ([(2, 3), (3,), (3,)], ".*: 3 gradients and 2 variables"),
        (
            [(3, 2), (3,)],
            "must have the shapes of their variables. Received: a gradient of "
            r"shape \(3, 2\) for 'kernel' of shape \(2, 3\)",
        ),
        ([(2, 3), (2,)], r"of shape \(2,\) for 'bias' of shape \(3,\)"),
        ([(2, 3), ()], r"of shape \(\) for 'bias' of shape \(3,\)"),
    ],
)
def test_gradients_must_fit_their_variables(
    fused, theta, shapes, message, given
):
    variables = [
        keras.Variable(np.ones(shape, np.float32), name=name)
        for shape, name in [((2, 3), "kernel"), ((3,), "bias")]
    ]
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build(variables)
    grads = [tf.ones(shape) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        optimizer.apply(grads, variables if given else None)
    for variable in variables:
        np.testing.assert_array_equal(variable, np.ones(variable.shape))


@pytest.mark.parametrize("dtype", ["complex64", "int32", "string"])
def test_gradients_must_be_real(fused, theta, dtype):
    variable = keras.Variable(np.ones(2, np.float32), name="kernel")
    grad = tf.constant(["1", "2"] if dtype == "string" else [1, 2], dtype)
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build([variable])
    with pytest.raises(
        ValueError, match=f"`grads` must be real.*dtype={dtype} for 'kernel'"
    ):
        optimizer.apply([grad], [variable])
    np.testing.assert_array_equal(variable, [1.0, 1.0])


def test_a_model_that_it_was_not_built_for_is_refused(
    fused, theta, make_model, regression
):
    optimizer = LearnedOptimizer(fused, theta)
    x, y = regression
    for model in (make_model(), make_model()):
        model.compile(optimizer, "mse", run_eagerly=True)
        if not optimizer.built:
            model.fit(x, y, verbose=0)
    with pytest.raises(
        ValueError, match="(?s)Unknown variable.*originally built"
    ):
        model.fit(x, y, verbose=0)


def test_a_step_without_any_gradient_is_refused(fused, theta):
    with pytest.raises(ValueError, match="No gradients provided"):
        LearnedOptimizer(fused, theta).apply([None], [keras.Variable([1.0])])


def test_a_misspelled_argument_is_refused(fused, theta):
    with pytest.raises(ValueError, match="not recognized.*clip_norm"):
        LearnedOptimizer(fused, theta, clip_norm=1.0)


@dataclasses.dataclass(frozen=True)
class ForgetfulRule(rules.Rule):
    """Returns fewer slots than it got."""

    name: ClassVar[str] = "forgetful"

    def theta_shapes(self):
        return {}

    def init_slots(self, theta, params):
        return {"a": tf.zeros(()), "b": tf.zeros(())}

    def update(self, theta, grads, params, slots, signals):
        return grads, {"a": slots["a"]}


def test_a_rule_that_changes_its_slots_is_refused():
    with pytest.raises(ValueError, match="structure|[Kk]ey"):
        LearnedOptimizer(ForgetfulRule(), {}).apply(
            [tf.ones(1)], [keras.Variable([1.0])]
        )

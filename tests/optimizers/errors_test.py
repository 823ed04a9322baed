"""What LearnedOptimizer refuses, each with a clear error."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, checkpoints, rules


@pytest.mark.parametrize("rule", [rules.FusedRule, None])
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
class CarelessRule(rules.Rule):
    """Returns what it is told to."""

    returned: str = ""

    name: ClassVar[str] = "careless"

    def theta_shapes(self):
        return {}

    def init_slots(self, theta, params):
        return {"a": tf.zeros(()), "b": [tf.zeros(2)]}

    def update(self, theta, grads, params, slots, signals):
        return {
            "right": (grads, slots),
            "only deltas": grads,
            "one tensor": (grads[0], slots),
            "another delta": ([tf.ones(3)], slots),
            "no list": (grads, {"a": slots["a"], "b": slots["b"][0]}),
            "fewer": (grads, {"a": slots["a"]}),
            "more": (grads, {**slots, "c": slots["a"]}),
            "another shape": (grads, {**slots, "a": tf.zeros(3)}),
            "a number": (grads, {**slots, "a": 0.0}),
        }[self.returned]


@pytest.mark.parametrize(
    "returned, message",
    [
        ("only deltas", "two values, `deltas` and the new `slots`.*: list"),
        ("one tensor", "`deltas` as a list with one tensor per parameter"),
        ("another delta", r"of the shapes \[\(1,\)\]. Received.*\[\(3,\)\]"),
        ("no list", r"missing=\[\"\['b'\]\[0\]\"\], unexpected=.*'b'"),
        ("fewer", r"missing=\[\"\['b'\]\[0\]\"\], unexpected=\[\]"),
        ("more", r"missing=\[\], unexpected=\[\"\['c'\]\"\]"),
        ("another shape", r"slots\['a'\] has \(\). Received: shape=\(3,\)"),
        ("a number", r"unexpected=\[\"\['a'\] \(float, not a tensor\)"),
    ],
)
@pytest.mark.parametrize("traced", [False, True])
def test_what_a_rule_returns_is_checked(returned, message, traced):
    optimizer = LearnedOptimizer(CarelessRule(returned), {})
    variable = keras.Variable([1.0])
    optimizer.build([variable])

    def step():
        optimizer.apply([tf.ones(1)], [variable])

    with pytest.raises(
        ValueError,
        match=rf"`update` of rule 'careless' \(CarelessRule\).*{message}",
    ):
        (tf.function(step) if traced else step)()
    assert float(variable[0]) == 1.0


def test_what_a_rule_returns_is_checked_once(monkeypatch):
    optimizer = LearnedOptimizer(CarelessRule("right"), {})
    variable = keras.Variable([1.0])
    optimizer.apply([tf.ones(1)], [variable])
    monkeypatch.setattr(CarelessRule, "check_update", None)
    optimizer.apply([tf.ones(1)], [variable])
    assert float(variable[0]) == 3.0


class InheritedName(rules.FusedRule):
    """A subclass of a registered rule that is not registered itself."""


def test_a_rule_with_the_name_of_its_parent_is_refused(theta, tmp_path):
    rule = InheritedName(step_mult=0.05)
    message = (
        "InheritedName has the name 'fused' of FusedRule, and would be loaded "
        r"as that. Decorate the class with `rules.register\(name\)`"
    )
    with pytest.raises(ValueError, match=message):
        LearnedOptimizer(rule, theta)
    with pytest.raises(ValueError, match=message):
        checkpoints.save(tmp_path / "mine.safetensors", rule, theta)
    with pytest.raises(ValueError, match=message):
        checkpoints.rule_spec(rule)  # What get_config, and so .keras, has.
    assert not list(tmp_path.iterdir())


# A name in the wrong place, and learning rates of other optimizers.


@pytest.mark.parametrize(
    "name, call",
    [
        ("fused_digits", r"LearnedOptimizer.from_checkpoint\('fused_digits'\)"),
        ("best.safetensors", "LearnedOptimizer.from_checkpoint"),
        ("fused", r"rules.get\('fused'\)"),
    ],
)
def test_a_name_as_the_rule_points_to_the_right_call(name, call):
    with pytest.raises(
        ValueError, match=f"not a name or a path: use `{call}.*rule='{name}'"
    ):
        LearnedOptimizer(name)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_the_learning_rate_must_not_be_negative(fused, theta, rate):
    with pytest.raises(ValueError, match=f"a factor on.*learning_rate={rate}"):
        LearnedOptimizer(fused, theta, learning_rate=rate)


def test_a_learning_rate_like_adams_is_warned_of_once(
    fused, theta, monkeypatch
):
    monkeypatch.setattr(LearnedOptimizer, "_has_warned_of_rate", False)
    config = {
        **LearnedOptimizer(fused, theta).get_config(),
        "learning_rate": 0.001,
    }
    # Those with a rate that was chosen before do not warn: no error here.
    LearnedOptimizer.from_config(config)
    for rate in (
        0.1,
        0.0,
        keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5),
    ):
        LearnedOptimizer(fused, theta, learning_rate=rate)
    with pytest.warns(UserWarning, match="0.001 makes every step 1,000 times"):
        LearnedOptimizer(fused, theta, learning_rate=0.001)
    LearnedOptimizer(fused, theta, learning_rate=0.001)

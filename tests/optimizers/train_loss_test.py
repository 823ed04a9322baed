"""The training loss reaches a rule that needs it, in `fit` and custom loops."""

import contextlib
import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_lopt import LearnedOptimizer, rules
from keras_lopt.optimizers import LossScaleOptimizer
from tests import small_rules

ROUTES = pytest.mark.parametrize(
    "how",
    [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}],
    ids=["jit", "graph", "eager"],
)


@dataclasses.dataclass(frozen=True)
class RecordingRule(rules.Rule):
    """Remembers the sum of the losses it got; changes no parameter."""

    name: ClassVar[str] = "recording"
    required_signals: ClassVar[tuple[str, ...]] = ("step", "train_loss")

    def theta_shapes(self):
        return {}

    def init_slots(self, theta, params):
        return {"sum": ops.zeros(())}

    def update(self, theta, grads, params, slots, signals):
        total = slots["sum"] + signals["train_loss"]
        return [ops.zeros_like(p) for p in params], {"sum": total}


def recorded(optimizer):
    """Sum of the losses that the rule of `optimizer` got."""
    return float(ops.convert_to_numpy(optimizer._slots.tree["sum"]))


def fit(model, regression, epochs=1):
    """Trains on four batches of 16 per epoch. Returns the epochs' losses."""
    history = model.fit(
        *regression, epochs=epochs, batch_size=16, shuffle=False, verbose=0
    )
    return history.history["loss"]


@ROUTES
@pytest.mark.parametrize("accumulation", [None, 2])
def test_fit_passes_on_the_loss(make_model, regression, how, accumulation):
    model = make_model()
    optimizer = LearnedOptimizer(
        RecordingRule(), {}, gradient_accumulation_steps=accumulation
    )
    model.compile(optimizer, loss="mse", **how)
    losses = fit(model, regression, epochs=2)
    updates = 4 / (accumulation or 1)  # Each gets the mean over its batches.
    assert recorded(optimizer) == pytest.approx(updates * sum(losses), rel=1e-5)


@ROUTES
def test_the_hierarchical_rule_trains_in_fit(make_model, regression, how):
    rule = small_rules.small_rule("hierarchical", step_mult=0.02)
    model = make_model()
    theta = small_rules.descending_theta(rule)
    model.compile(LearnedOptimizer(rule, theta), loss="mse", **how)
    losses = fit(model, regression, epochs=8)
    assert losses[-1] < 0.5 * losses[0]
    count = model.optimizer._slots.values()["train_loss"]["count"]
    assert float(count) == 32.0


def test_the_velo_rule_trains_in_fit(make_model, regression):
    rule = small_rules.small_rule("velo", step_mult=0.05)
    model = make_model()
    theta = small_rules.descending_theta(rule)
    optimizer = LearnedOptimizer(rule, theta, horizon=32)
    model.compile(optimizer, loss="mse", jit_compile=True)
    losses = fit(model, regression, epochs=8)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("accumulation", [None, 2])
def test_losses_of_replicas_are_summed(make_model, regression, accumulation):
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )
    found = []
    for scope in (strategy.scope(), contextlib.nullcontext()):
        with scope:
            model = make_model()
            optimizer = LearnedOptimizer(
                RecordingRule(), {}, gradient_accumulation_steps=accumulation
            )
            model.compile(optimizer, loss="mse", jit_compile=False)
        fit(model, regression)
        found.append(recorded(optimizer))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_losses_of_replicas_are_summed_under_a_loss_scale(
    make_model, regression
):
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        model = make_model()
        optimizer = LearnedOptimizer(RecordingRule(), {})
        model.compile(
            LossScaleOptimizer(optimizer), loss="mse", jit_compile=False
        )
    (loss,) = fit(model, regression)
    assert recorded(optimizer) == pytest.approx(4 * loss, rel=1e-5)


@pytest.mark.parametrize("accumulation", [None, 2])
def test_a_saved_training_resumes_identically(
    make_model, regression, tmp_path, accumulation
):
    rule = small_rules.small_rule("hierarchical", step_mult=0.02)
    model = make_model()
    optimizer = LearnedOptimizer(
        rule, rule.init_theta(0), gradient_accumulation_steps=accumulation
    )
    model.compile(optimizer, loss="mse", run_eagerly=True)
    x, y = (values[:48] for values in regression)
    fit(model, (x, y))  # Three batches end in the middle of an accumulation.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert fit(model, regression) == fit(loaded, regression)
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("jit_compile", [None, True, False])
def test_scale_loss_in_a_custom_loop_passes_on_the_unscaled_loss(jit_compile):
    variable = keras.Variable([1.0, 2.0])
    optimizer = LearnedOptimizer(RecordingRule(), {}, loss_scale_factor=8.0)
    optimizer.build([variable])

    def train_step(factor):
        with tf.GradientTape() as tape:
            loss = factor * tf.reduce_sum(variable.value)
            scaled = optimizer.scale_loss(loss)
        grads = tape.gradient(scaled, [variable.value])
        optimizer.apply(grads)
        return scaled

    if jit_compile is not None:
        train_step = tf.function(train_step, jit_compile=jit_compile)
    assert float(train_step(tf.constant(1.0))) == 24.0
    train_step(tf.constant(2.0))
    assert recorded(optimizer) == 9.0  # Without the scale.


def test_a_step_without_the_loss_is_refused_and_changes_nothing():
    variable = keras.Variable([1.0])
    optimizer = LearnedOptimizer(RecordingRule(), {})
    optimizer.scale_loss(1.0)
    optimizer.apply([tf.ones(1)], [variable])
    for _ in range(2):  # The loss of the step before is not used again.
        with pytest.raises(
            ValueError, match="'recording' needs the training loss.*scale_loss"
        ):
            optimizer.apply([tf.ones(1)], [variable])
    assert int(optimizer.iterations) == 1
    assert recorded(optimizer) == 1.0


def test_a_loss_must_be_a_scalar():
    optimizer = LearnedOptimizer(RecordingRule(), {})
    with pytest.raises(ValueError, match=r"must be a scalar.*shape=\(2,\)"):
        optimizer.scale_loss(tf.ones(2))


def test_a_rule_that_needs_no_loss_accepts_any_shape_of_it(fused, theta):
    optimizer = LearnedOptimizer(fused, theta, loss_scale_factor=2.0)
    np.testing.assert_array_equal(optimizer.scale_loss(tf.ones(2)), [2.0, 2.0])
    optimizer.apply([tf.ones(1)], [keras.Variable([1.0])])


def test_mixed_bfloat16_passes_on_the_loss(make_model, regression):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_model()
        model.compile(LearnedOptimizer(RecordingRule(), {}), loss="mse")
        (loss,) = fit(model, regression)
    finally:
        keras.config.set_dtype_policy("float32")
    assert recorded(model.optimizer) == pytest.approx(4 * loss, rel=0.02)


def test_the_error_under_keras_loss_scaling_says_what_to_do(
    make_model, regression
):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model()
        model.compile(LearnedOptimizer(RecordingRule(), {}), loss="mse")
        with pytest.raises(ValueError, match="mixed_float16.*keras_lopt"):
            fit(model, regression)
    finally:
        keras.config.set_dtype_policy("float32")

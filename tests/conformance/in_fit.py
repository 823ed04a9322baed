"""Columns of the table: `compile` and `fit`, precision, strategies."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import optimizers
from tests.conformance.cases import (
    START,
    X,
    assert_equal,
    assert_same_state,
    compiled,
    differ,
    fit,
    fit_steps,
    loss_scaled,
    make_model,
    policy,
    values,
)


def _fits(case, **how):
    model = compiled(case.optimizer(), **how)
    fit(model, epochs=2)
    expected = case.by_hand(**fit_steps(epochs=2))
    assert_equal(model.trainable_variables, expected)


def fit_eagerly(case):
    _fits(case, run_eagerly=True)


def fit_jit_compiled(case):
    _fits(case, jit_compile=True)


def steps_per_execution(case):
    _fits(case, jit_compile=False, steps_per_execution=2)


def fit_builds_the_model(case):
    """A model without `Input` has no values when the slots are created."""
    start = keras.initializers.Constant(START[0])
    model = keras.Sequential([keras.layers.Dense(2, None, True, start)])
    model.compile(case.optimizer(), loss="mse", jit_compile=False)
    fit(model)
    start = [START[0], np.zeros_like(START[1])]
    expected = case.by_hand(start=start, **fit_steps())
    assert_equal(model.trainable_variables, expected, start=start)


def frozen_layer(case):
    """A layer frozen after some steps does not change; the others train."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(2)]
    )
    model.compile(case.optimizer(), loss="mse", run_eagerly=True)
    fit(model)
    model.layers[0].trainable = False
    frozen, free = (values(layer.variables) for layer in model.layers)
    fit(model)
    for variable, value in zip(model.layers[0].variables, frozen):
        np.testing.assert_array_equal(variable, value)
    assert differ(model.layers[1].variables, free, by=0.0)


def infer_horizon(case):
    """`InferHorizon` gives the same training as the right horizon."""
    models = [
        compiled(case.optimizer(horizon=horizon)) for horizon in (None, 2)
    ]
    fit(models[0], callbacks=[optimizers.InferHorizon()])
    fit(models[1])
    assert_same_state(models[0].optimizer, models[1].optimizer)
    assert models[0].optimizer.horizon == 2


# Precision.


def mixed_bfloat16(case):
    with policy("mixed_bfloat16"):
        model = compiled(case.optimizer())
        assert model.layers[-1].compute_dtype == "bfloat16"
        losses = fit(model)
        assert {v.dtype for v in model.trainable_variables} == {"float32"}
    reference = compiled(case.optimizer())
    np.testing.assert_allclose(losses, fit(reference), rtol=0.1)
    assert differ(model.trainable_variables, START)


def mixed_float16(case):
    """With loss scaling, an overflowing step is skipped as a whole."""
    with policy("mixed_float16"):
        model = compiled(loss_scaled(case.optimizer(), initial_scale=2.0**4))
        assert model.layers[-1].compute_dtype == "float16"
        losses = fit(model)
    reference = compiled(case.optimizer())
    np.testing.assert_allclose(losses, fit(reference), rtol=0.1)
    assert differ(model.trainable_variables, START)
    before = values(model.trainable_variables)
    state = values(model.optimizer.inner_optimizer.variables)
    with policy("mixed_float16"):
        fit(model, x=np.full_like(X, 6e4))
    assert_equal(model.trainable_variables, before, rtol=0, atol=0)
    after = values(model.optimizer.inner_optimizer.variables)
    for a, b in zip(after, state, strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.dynamic_scale) == 4.0  # Halved twice.


# Strategies.


@functools.cache
def _two_devices():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )


class CompiledGradients(keras.Sequential):
    """XLA compiles what each replica does alone, including the model."""

    @tf.function(jit_compile=True)
    def loss_and_gradients(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        return loss, tape.gradient(loss, self.trainable_weights)

    def train_step(self, data):
        loss, grads = self.loss_and_gradients(*data)
        self.optimizer.scale_loss(loss)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        return {"loss": loss}


def _mirrored(case, model_class=keras.Sequential, **options):
    """Two devices train as one, and their variables stay equal."""
    with _two_devices().scope():
        model = make_model(model_class)
        model.compile(case.optimizer(**options), "mse", jit_compile=False)
    alone = compiled(case.optimizer(**options))
    for one in (model, alone):
        fit(one, epochs=2)
    assert_equal(model.variables, alone.variables, atol=1e-5)
    found, expected = (m.optimizer.variables for m in (model, alone))
    assert_equal(found, expected, atol=1e-5, start=None)
    for variable in model.variables + found:
        first, second = variable.value.values
        np.testing.assert_array_equal(first, second)


#: What a rule computes is the same on two devices; what it remembers has to be
#: kept equal. These have no slots, some, and factored ones.
TWO_DEVICES = ("sgd", "fused", "adafac_mlp")


def _skip_unless_on_two_devices(case):
    if case.rule.name not in TWO_DEVICES:
        pytest.skip("Its slots are like those of one of TWO_DEVICES.")


def mirrored(case):
    _skip_unless_on_two_devices(case)
    _mirrored(case)


def mirrored_and_compiled_with_options(case):
    _skip_unless_on_two_devices(case)
    _mirrored(
        case,
        CompiledGradients,
        gradient_accumulation_steps=2,
        clipnorm=0.5,
        guard=optimizers.DivergenceGuard(),
    )


COLUMNS = [
    fit_eagerly,
    fit_builds_the_model,
    fit_jit_compiled,
    steps_per_execution,
    frozen_layer,
    infer_horizon,
    mixed_bfloat16,
    mixed_float16,
    mirrored,
    mirrored_and_compiled_with_options,
]

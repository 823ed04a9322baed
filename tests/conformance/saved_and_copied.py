"""Columns of the table: files, copies and configs of a running training."""

import copy
import json
import pathlib
import tempfile

import keras

from keras_lopt import LearnedOptimizer, optimizers
from tests.conformance.cases import (
    START,
    apply_to,
    assert_equal,
    assert_same_state,
    compiled,
    fit,
    loss_scaled,
    policy,
    values,
)


def _continue_identically(model, other):
    assert model is not other
    assert fit(model) == fit(other)
    assert_equal(model.variables, other.variables, rtol=0, atol=0)
    assert_same_state(model.optimizer, other.optimizer)


def keras_file(case):
    """A model saved between two updates of an accumulation."""
    optimizer = case.optimizer(gradient_accumulation_steps=3, use_ema=True)
    model = compiled(optimizer)
    fit(model, epochs=2)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    _continue_identically(model, loaded)


def weights_of_model_and_optimizer(case):
    model, other = (compiled(case.optimizer()) for _ in range(2))
    fit(model)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.weights.h5"
        model.save_weights(path)
        other.optimizer.build(other.trainable_variables)
        other.load_weights(path)
    other.optimizer.set_weights(values(model.optimizer.variables))
    _continue_identically(model, other)


def wrapped_keras_file(case):
    """A `LossScaleOptimizer` is loaded with the optimizer that it wraps."""
    with policy("mixed_float16"):
        model = compiled(loss_scaled(case.optimizer()))
        fit(model)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.keras"
            model.save(path)
            loaded = keras.models.load_model(path)
        assert type(loaded.optimizer) is optimizers.LossScaleOptimizer
        _continue_identically(model, loaded)


def config(case):
    guard = optimizers.DivergenceGuard(patience=3)
    optimizer = case.optimizer(clipnorm=0.5, guard=guard)
    plain = json.loads(json.dumps(optimizer.get_config()))
    for other in (
        LearnedOptimizer.from_config(plain),
        keras.optimizers.deserialize(keras.optimizers.serialize(optimizer)),
    ):
        assert (other.rule, other.guard) == (case.rule, guard)
        assert other.get_config() == optimizer.get_config()
        variables = [[keras.Variable(p) for p in START] for _ in range(2)]
        other.build(variables[0])
        one = case.optimizer(clipnorm=0.5, guard=guard)
        one.build(variables[1])
        other.set_weights(values(one.variables))
        apply_to(other, variables[0])
        apply_to(one, variables[1])
        assert_equal(*variables, rtol=0, atol=0)


def deep_copy(case):
    model = compiled(case.optimizer())
    fit(model)
    _continue_identically(model, copy.deepcopy(model))


def cloned_model(case):
    """A clone with an optimizer from the config trains identically."""
    model = compiled(case.optimizer())
    fit(model)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    optimizer = LearnedOptimizer.from_config(model.optimizer.get_config())
    clone.compile(optimizer, loss="mse", run_eagerly=True)
    optimizer.build(clone.trainable_variables)
    optimizer.set_weights(values(model.optimizer.variables))
    _continue_identically(model, clone)


COLUMNS = [
    keras_file,
    weights_of_model_and_optimizer,
    wrapped_keras_file,
    config,
    deep_copy,
    cloned_model,
]

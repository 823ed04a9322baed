"""The Keras callbacks: horizon from `fit`, validation losses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer
from keras_lopt.optimizers import (
    InferHorizon,
    LossScaleOptimizer,
    MultiOptimizer,
    PassValidationLoss,
)
from tests import small_rules


@pytest.fixture
def velo():
    return small_rules.small_rule("velo")


def planner(rule, horizon=None, **kwargs):
    return LearnedOptimizer(rule, rule.init_theta(0), 1.0, horizon, **kwargs)


def fit(model, regression, **kwargs):
    """Trains with four steps per epoch."""
    return model.fit(*regression, batch_size=16, verbose=0, **kwargs)


def compiled(make_model, optimizer, **kwargs):
    model = make_model()
    kwargs = kwargs or {"run_eagerly": True}
    model.compile(optimizer, loss="mse", **kwargs)
    return model


# The horizon.


@pytest.mark.parametrize(
    "accumulation, kwargs, expected",
    [
        (None, {"epochs": 2}, 8),
        (2, {"epochs": 2}, 4),
        (3, {"epochs": 1}, 1),
        (None, {"epochs": 3, "initial_epoch": 2}, 4),
        (None, {"epochs": 1, "steps_per_epoch": 3}, 3),
    ],
)
def test_the_horizon_is_the_number_of_updates(
    make_model, regression, velo, accumulation, kwargs, expected
):
    optimizer = planner(velo, gradient_accumulation_steps=accumulation)
    model = compiled(make_model, optimizer)
    fit(model, regression, callbacks=[InferHorizon()], **kwargs)
    assert optimizer.horizon == expected
    assert optimizer.get_config()["horizon"] == expected


def test_a_second_fit_does_not_trace_again(make_model, regression, velo):
    optimizer = planner(velo)
    model = compiled(make_model, optimizer, jit_compile=False)
    fit(model, regression, callbacks=[InferHorizon()])
    updates = []
    update = type(velo).update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(velo), "update", lambda *a: updates.append(1) or update(*a)
        )
        fit(model, regression, epochs=3, callbacks=[InferHorizon()])
    assert optimizer.horizon == 16
    assert updates == []


@pytest.mark.parametrize(
    "wrap",
    [
        LossScaleOptimizer,
        lambda inner: MultiOptimizer(keras.optimizers.OptimizerMap(inner)),
    ],
    ids=["loss_scale", "multi"],
)
def test_the_horizon_reaches_a_wrapped_optimizer(
    make_model, regression, velo, wrap
):
    optimizer = planner(velo)
    model = compiled(make_model, wrap(optimizer))
    fit(model, regression, callbacks=[InferHorizon()])
    assert optimizer.horizon == 4


def test_callbacks_ignore_other_optimizers(make_model, regression):
    model = compiled(make_model, keras.optimizers.SGD())
    fit(
        model,
        regression,
        callbacks=[InferHorizon(), PassValidationLoss()],
        validation_data=regression,
    )


def test_a_rule_that_plans_is_refused_without_a_horizon(
    make_model, regression, velo
):
    model = compiled(make_model, planner(velo), jit_compile=False)
    with pytest.raises(ValueError, match=r"'velo' plans.*InferHorizon\(\)"):
        fit(model, regression)


def test_data_of_unknown_length_are_refused(make_model, regression, velo):
    model = compiled(make_model, planner(velo))
    batches = tf.data.Dataset.from_generator(
        lambda: iter([regression]),
        output_signature=tuple(tf.TensorSpec(v.shape) for v in regression),
    )
    with pytest.raises(ValueError, match="does not know it.*steps_per_epoch"):
        model.fit(batches, shuffle=False, verbose=0, callbacks=[InferHorizon()])


def test_past_the_horizon_training_continues_and_warns_once(
    make_model, regression, velo
):
    optimizer = planner(velo, horizon=5)
    model = compiled(make_model, optimizer)
    fit(model, regression)
    with pytest.warns(UserWarning, match="8 updates, more than.*horizon=5"):
        fit(model, regression)
    fit(model, regression)  # A second warning would be an error.
    assert all(np.all(np.isfinite(w)) for w in model.get_weights())


def test_a_loaded_optimizer_has_its_horizon(
    make_model, regression, velo, tmp_path
):
    model = compiled(make_model, planner(velo))
    fit(model, regression, epochs=2, callbacks=[InferHorizon()])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.horizon == 8
    variable = next(
        v for v in loaded.optimizer.variables if "horizon" in v.name
    )
    assert int(variable) == 8


# The validation loss.


@pytest.mark.parametrize(
    "how", [{"jit_compile": True}, {"run_eagerly": True}], ids=["jit", "eager"]
)
def test_the_step_after_the_validation_gets_the_loss(
    make_model, regression, how
):
    optimizer = planner(small_rules.small_rule("hierarchical"))
    model = compiled(make_model, optimizer, **how)
    history = fit(
        model,
        regression,
        epochs=3,
        validation_data=regression,
        callbacks=[PassValidationLoss()],
    ).history
    statistics = optimizer._slots.values()["valid_loss"]
    assert float(statistics["count"]) == 2.0  # The third one is not used yet.
    first, second, _ = history["val_loss"]
    expected = 0.95 * 0.05 * first + 0.05 * second
    assert float(statistics["mean"]) == pytest.approx(expected, rel=1e-5)


def test_fit_without_validation_warns(make_model, regression):
    model = compiled(
        make_model, planner(small_rules.small_rule("hierarchical"))
    )
    with pytest.warns(UserWarning, match="no 'val_loss'.*`validation_data`"):
        fit(model, regression, callbacks=[PassValidationLoss()])


def test_epochs_without_validation_are_skipped(make_model, regression):
    optimizer = planner(small_rules.small_rule("hierarchical"))
    model = compiled(make_model, optimizer)
    fit(
        model,
        regression,
        epochs=5,
        validation_freq=2,
        validation_data=regression,
        callbacks=[PassValidationLoss()],
    )
    statistics = optimizer._slots.values()["valid_loss"]
    assert float(statistics["count"]) == 2.0

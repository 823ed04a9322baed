"""`.keras` files and other copies of a LearnedOptimizer's state."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, rules

ROOT = pathlib.Path(__file__).parents[2]


def fit(model, regression, epochs=1):
    history = model.fit(
        *regression, epochs=epochs, batch_size=16, shuffle=False, verbose=0
    )
    return history.history["loss"]


def assert_continue_identically(model, other, regression):
    """Checks that both continue to train, with bitwise equal results."""
    assert fit(model, regression) == fit(other, regression)
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    optimizer, other = model.optimizer, other.optimizer
    for a, b in zip(optimizer.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def compiled(fused, theta, make_model):
    """Callable that compiles a model with a LearnedOptimizer of `fused`."""

    def make(**kwargs):
        model = make_model()
        optimizer = LearnedOptimizer(fused, theta, **kwargs)
        model.compile(optimizer, loss="mse", run_eagerly=True)
        return model

    return make


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.keras"


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {
            "learning_rate": keras.optimizers.schedules.ExponentialDecay(
                1.0, decay_steps=3, decay_rate=0.5
            ),
            "use_ema": True,
            "gradient_accumulation_steps": 3,  # Saved between two updates.
            "clipnorm": 1.0,
            "horizon": 100,
        },
    ],
    ids=["plain", "all_options"],
)
def test_a_saved_training_resumes_identically(
    compiled, regression, path, kwargs
):
    model = compiled(**kwargs)
    fit(model, regression)
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert_continue_identically(model, loaded, regression)


def test_a_compiled_graph_resumes_identically(
    fused, theta, make_model, regression, path
):
    model = make_model()
    model.compile(LearnedOptimizer(fused, theta), loss="mse", jit_compile=True)
    fit(model, regression)
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.jit_compile
    assert_continue_identically(model, loaded, regression)


def test_a_model_saved_before_training_keeps_theta(compiled, regression, path):
    model = compiled()
    model.save(path)
    loaded = keras.models.load_model(path)
    assert_continue_identically(model, loaded, regression)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_resumes(compiled, regression, path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = compiled()
        losses = fit(model, regression)
        model.save(path)
        loaded = keras.models.load_model(path)
        assert_continue_identically(model, loaded, regression)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.all(np.isfinite(losses))
    is_scaled = policy == "mixed_float16"
    assert is_scaled == isinstance(
        model.optimizer, keras.optimizers.LossScaleOptimizer
    )


def test_a_tensorflow_checkpoint_holds_the_whole_state(
    compiled, fused, regression, tmp_path
):
    model, other = compiled(), compiled()
    fit(model, regression)
    saved = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    prefix = saved.save(tmp_path / "checkpoint")
    other.optimizer = LearnedOptimizer(fused, fused.init_theta(9))
    other.optimizer.build(other.trainable_variables)
    restored = tf.train.Checkpoint(model=other, optimizer=other.optimizer)
    restored.restore(prefix).assert_consumed()
    assert_continue_identically(model, other, regression)


def test_set_weights_restores_theta(fused, theta):
    variables = [keras.Variable([1.0, 2.0])]
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build(variables)
    other = LearnedOptimizer.from_config(optimizer.get_config())
    other.build(variables)
    other.set_weights([v.numpy() for v in optimizer.variables])
    np.testing.assert_array_equal(other.theta["w0"], theta["w0"])
    other.apply([tf.constant([1.0, 1.0])])
    assert int(other.iterations) == 1


# States that do not fit.


def test_an_optimizer_from_a_config_does_not_train_without_its_state(
    fused, theta
):
    config = LearnedOptimizer(fused, theta).get_config()
    optimizer = LearnedOptimizer.from_config({**config, "theta": None})
    variable = keras.Variable([1.0])
    with pytest.raises(ValueError, match="no `theta`. Load the state"):
        optimizer.apply([tf.constant([1.0])], [variable])
    assert float(variable[0]) == 1.0
    assert int(optimizer.iterations) == 0


def test_a_state_of_another_size_is_skipped_with_a_warning(fused, theta):
    variables = [keras.Variable([1.0])]
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build(variables)
    state = {}
    optimizer.save_own_variables(state)
    other = LearnedOptimizer(fused, None)
    other.build([*variables, keras.Variable([2.0])])
    with pytest.warns(
        UserWarning,
        match=r"Skipping variable loading.*must have 12 variables. Received: "
        r"10, missing=\['[^']*/slot_1_momenta \(3, 1\)', "
        r"'[^']*/slot_1_second_moment \(1,\)'\], unexpected=\[\]",
    ):
        other.load_own_variables(state)
    with pytest.raises(ValueError, match="no `theta`"):
        other.apply([tf.constant([1.0])], variables)


@pytest.mark.parametrize(
    "other, shape, name",
    [
        (rules.get("fused"), (3,), "slot_0_momenta"),
        (rules.get("fused", hidden_units=4), (2,), "theta_w0"),
    ],
    ids=["other_variables", "other_rule"],
)
def test_a_state_of_other_shapes_is_refused_and_changes_nothing(
    fused, theta, other, shape, name
):
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build([keras.Variable([1.0, 2.0])])
    state = {}
    optimizer.save_own_variables(state)
    receiver = LearnedOptimizer(other, other.init_theta(5))
    receiver.build([keras.Variable(np.ones(shape, np.float32))])
    before = [v.numpy() for v in receiver.variables]
    with pytest.raises(ValueError, match=f"{name} must have shape.*another"):
        receiver.load_own_variables(state)
    for variable, value in zip(receiver.variables, before):
        np.testing.assert_array_equal(variable, value)


def test_another_process_loads_the_model_and_continues(
    compiled, regression, path
):
    model = compiled()
    fit(model, regression)
    model.save(path)
    np.savez(path.with_suffix(".npz"), *regression)
    program = (
        "import sys, keras, numpy as np\n"
        "import keras_lopt\n"  # Is enough for Keras to know the class.
        "data = np.load(sys.argv[1] + '.npz')\n"
        "model = keras.models.load_model(sys.argv[1] + '.keras')\n"
        "assert type(model.optimizer) is keras_lopt.LearnedOptimizer\n"
        "history = model.fit(data['arr_0'], data['arr_1'], verbose=0,\n"
        "                    batch_size=16, shuffle=False)\n"
        "print(history.history['loss'][0])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path.with_suffix(""))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = fit(model, regression)[0]
    assert float(result.stdout.split()[-1]) == pytest.approx(expected)

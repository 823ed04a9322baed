"""Theta in configs: files, bytes, and what is wrong with them."""

import base64
import copy
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, checkpoints, rules
from keras_lopt.optimizers import theta_config


def value_after_a_step(optimizer):
    variable = keras.Variable([1.0, -2.0])
    optimizer.apply([tf.constant([0.5, 1.0])], [variable])
    return variable.numpy()


def assert_trains_alike(optimizer, other):
    np.testing.assert_array_equal(*map(value_after_a_step, (optimizer, other)))


def test_a_bundled_optimizer_is_named():
    optimizer = LearnedOptimizer.from_checkpoint("fused_digits")
    config = json.loads(json.dumps(optimizer.get_config()))
    assert config["theta"] == {
        "source": "fused_digits",
        "sha256": checkpoints.theta_sha256(optimizer.theta),
    }
    assert_trains_alike(LearnedOptimizer.from_config(config), optimizer)


def test_a_small_theta_is_carried(fused, theta):
    optimizer = LearnedOptimizer(fused, theta)
    config = json.loads(json.dumps(optimizer.get_config()))
    assert set(config["theta"]) == {"safetensors"}
    other = LearnedOptimizer.from_config(config)
    for leaf, value in theta.items():
        np.testing.assert_array_equal(other.theta[leaf], value)
    assert_trains_alike(other, optimizer)


def test_a_theta_that_was_loaded_since_is_not_that_of_the_file(fused, theta):
    optimizer = LearnedOptimizer.from_checkpoint("fused_digits")
    state = {}
    LearnedOptimizer(optimizer.rule, theta).save_own_variables(state)
    optimizer.load_own_variables(state)
    assert set(optimizer.get_config()["theta"]) == {"safetensors"}


def test_a_large_theta_has_to_be_loaded(fused, theta, monkeypatch):
    monkeypatch.setattr(theta_config, "LARGEST", 1000)
    optimizer = LearnedOptimizer(fused, theta)
    config = optimizer.get_config()
    assert config["theta"] == {"sha256": checkpoints.theta_sha256(theta)}
    other = LearnedOptimizer.from_config(config)
    assert other.get_config() == config
    with pytest.raises(
        ValueError,
        match="larger than 1000 bytes.*`checkpoints.save`.*from_checkpoint.*"
        "Load the state that was saved with it",
    ):
        value_after_a_step(other)
    # A copy needs no config: it has the state.
    assert_trains_alike(copy.deepcopy(optimizer), optimizer)


@pytest.fixture
def of_file(fused, theta, tmp_path):
    """Path of a file, and the config of an optimizer from it."""
    path = tmp_path / "mine.safetensors"
    checkpoints.save(path, fused, theta)
    return path, LearnedOptimizer.from_checkpoint(path).get_config()


def test_a_file_that_is_gone_is_named(of_file):
    path, config = of_file
    sha256 = config["theta"]["sha256"]
    path.unlink()
    other = LearnedOptimizer.from_config(config)
    assert other.get_config() == config
    with pytest.raises(
        ValueError,
        match=rf"`theta` is that of '{path}' \(sha256 {sha256[:12]}\.\.\.\), "
        rf"which cannot be loaded.*Received: source='{path}'.*"
        rf"from_checkpoint\('{path}'\).*Load the state",
    ):
        value_after_a_step(other)


def test_a_file_that_has_changed_is_refused_unless_accepted(of_file, fused):
    path, config = of_file
    new = fused.init_theta(seed=7)
    checkpoints.save(path, fused, new)
    other = LearnedOptimizer.from_config(config)
    with pytest.raises(
        ValueError,
        match=rf"sha256 {config['theta']['sha256'][:12]}.*another one now: "
        rf"sha256 {checkpoints.theta_sha256(new)[:12]}.*To accept it as it "
        r"is, set `config\['theta'\]\['sha256'\]` to None",
    ):
        value_after_a_step(other)
    config["theta"]["sha256"] = None
    accepted = LearnedOptimizer.from_config(config)
    assert_trains_alike(accepted, LearnedOptimizer(fused, new))


def test_a_file_of_another_rule_is_refused(of_file):
    path, config = of_file
    rule = rules.get("fused", hidden_units=3)
    checkpoints.save(path, rule, rule.init_theta(0))
    with pytest.raises(ValueError, match="`rule` must be the rule of the file"):
        value_after_a_step(LearnedOptimizer.from_config(config))


def test_a_model_file_needs_no_file_of_theta(of_file, tmp_path):
    path, _ = of_file
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = LearnedOptimizer.from_checkpoint(path)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.save(tmp_path / "model.keras")
    path.unlink()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x, y = np.ones((2, 2)), np.ones((2, 1))
    for one in (model, loaded):
        one.fit(x, y, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_downloaded_for_a_config(fused, theta, monkeypatch):
    monkeypatch.setattr(checkpoints, "load", None)
    config = {
        **LearnedOptimizer(fused, theta).get_config(),
        "theta": {"source": "hf://someone/something", "sha256": "0" * 64},
    }
    with pytest.raises(ValueError, match="hf://someone.*not loaded again"):
        value_after_a_step(LearnedOptimizer.from_config(config))


def in_base64(theta):
    content = checkpoints.theta_to_bytes(theta)
    return {"safetensors": base64.b64encode(content).decode()}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: {**t, "b1": t["b1"] * np.nan}, "'b1'.*finite.*8 non-finite"),
        (lambda t: {**t, "b9": t["b1"]}, r"extra=\['b9'\]"),
        (lambda t: {**t, "b1": t["b1"][:3]}, r"'b1'.*\(8,\).*shape=\(3,\)"),
    ],
)
def test_bytes_that_are_no_theta_of_the_rule_are_refused(
    fused, theta, change, message
):
    config = LearnedOptimizer(fused, theta).get_config()
    config["theta"] = in_base64(change(theta))
    with pytest.raises(ValueError, match=f"`theta` in the config.*{message}"):
        LearnedOptimizer.from_config(config)


@pytest.mark.parametrize(
    "spec, message",
    [
        ({"safetensors": "AAAA"}, "is damaged.*no safetensors data"),
        ({"safetensors": "not base64!"}, "is damaged"),
        ({"safetensors": 3}, "is damaged"),
        ({"file": "a"}, "must be a dict with.*Received: theta={'file': 'a'}"),
        ("fused_digits", "must be a dict with.*theta='fused_digits'"),
    ],
)
def test_damaged_configs_are_refused(fused, theta, spec, message):
    config = {**LearnedOptimizer(fused, theta).get_config(), "theta": spec}
    with pytest.raises(ValueError, match=message):
        LearnedOptimizer.from_config(config)


def test_a_config_of_another_version_of_the_rule_says_so(fused, theta):
    config = LearnedOptimizer(fused, theta).get_config()
    config["rule"]["config"]["new_setting"] = 3
    with pytest.raises(
        ValueError,
        match=r"Rule 'fused' of this version.*Received: \['new_setting'\], of "
        "another version of the rule: install the version",
    ):
        LearnedOptimizer.from_config(config)


def test_a_config_of_a_rule_that_is_not_imported_says_so(fused, theta):
    config = LearnedOptimizer(fused, theta).get_config()
    config["rule"]["name"] = "fusedd"
    with pytest.raises(
        ValueError,
        match="registered rules.*name='fusedd'.*mean 'fused'.*import the "
        "module that registers it",
    ):
        LearnedOptimizer.from_config(config)


# States of other optimizers.


def test_the_state_of_another_optimizer_is_skipped_as_by_keras(fused, theta):
    """Weights of a model that Adam has trained can be loaded."""
    variables = [keras.Variable([1.0, 2.0]) for _ in range(2)]
    adam = keras.optimizers.Adam()
    adam.build(variables)
    state = {}
    adam.save_own_variables(state)
    for is_built in (False, True):
        optimizer = LearnedOptimizer(fused, theta)
        if is_built:
            optimizer.build(variables)
        with pytest.warns(UserWarning, match="Skipping.*missing=.*theta_w0"):
            optimizer.load_own_variables(state)
        np.testing.assert_array_equal(optimizer.theta["w0"], theta["w0"])


def test_a_state_for_another_model_is_refused_when_it_is_built(fused, theta):
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build([keras.Variable([1.0, 2.0])])
    copied = copy.deepcopy(optimizer)
    with pytest.raises(
        ValueError,
        match="not that of the model that it trains. It must have 4 variables"
        ".*Received: 2, missing=.*slot_1_momenta",
    ):
        copied.build([keras.Variable([1.0, 2.0]), keras.Variable([1.0])])


def test_set_weights_takes_no_part_of_a_state(fused, theta):
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build([keras.Variable([1.0, 2.0])])
    before = [v.numpy() for v in optimizer.variables]
    with pytest.raises(ValueError, match="missing=.*slot_0_second_moment"):
        optimizer.set_weights(before[:-1])
    for variable, value in zip(optimizer.variables, before):
        np.testing.assert_array_equal(variable, value)


# What a person sees.


def test_the_repr_says_rule_source_and_horizon(theta, fused):
    optimizer = LearnedOptimizer.from_checkpoint("fused_digits", horizon=7)
    assert repr(optimizer) == (
        f"<LearnedOptimizer {optimizer.name!r}: rule={optimizer.rule!r}, "
        "source='fused_digits', horizon=7>"
    )
    assert "source=None, horizon=None" in repr(LearnedOptimizer(fused, theta))


def test_names_are_those_of_the_bundled_files():
    assert LearnedOptimizer.names() == checkpoints.names()

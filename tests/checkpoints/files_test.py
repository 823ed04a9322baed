"""Optimizer files: saving, loading, and saving that fails."""

import os

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import checkpoints, rules

PROVENANCE = {"trained_on": ["digits"], "outer_steps": 300, "score": 0.15}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.safetensors"


@pytest.fixture
def saved(path, fused, theta):
    checkpoints.save(path, fused, theta, PROVENANCE)
    return path


@pytest.mark.parametrize("name", rules.names())
def test_round_trip_is_exact(path, name):
    rule = rules.get(name)
    theta = rule.init_theta(7)
    checkpoints.save(path, rule, theta, PROVENANCE)
    loaded_rule, loaded_theta, metadata = checkpoints.load(path)
    assert loaded_rule == rule
    assert metadata == PROVENANCE
    assert list(loaded_theta) == list(rule.theta_shapes())
    for leaf, value in theta.items():
        assert loaded_theta[leaf].dtype == np.float32
        assert loaded_theta[leaf].shape == value.shape
        np.testing.assert_array_equal(loaded_theta[leaf], value)


def test_hyperparameters_are_kept(saved, fused):
    assert fused != rules.get("fused")
    assert checkpoints.load(saved)[0] == fused


def test_metadata_is_optional(path, fused, theta):
    checkpoints.save(path, fused, theta)
    assert checkpoints.load(path)[2] == {}


def test_tensors_and_transposed_arrays_keep_their_values(path, fused, theta):
    odd = {leaf: tf.constant(value) for leaf, value in theta.items()}
    odd["w1"] = np.asfortranarray(theta["w1"])
    checkpoints.save(path, fused, odd)
    _, loaded, _ = checkpoints.load(path)
    for leaf, value in theta.items():
        np.testing.assert_array_equal(loaded[leaf], value)


def test_loaded_arrays_outlive_the_file(saved, theta):
    _, loaded, _ = checkpoints.load(saved)
    saved.unlink()
    loaded["w0"] += 1.0
    np.testing.assert_array_equal(loaded["w0"], theta["w0"] + 1.0)


def test_a_run_directory_stands_for_its_best_member(tmp_path, fused, theta):
    checkpoints.save(tmp_path / "run" / "best.safetensors", fused, theta)
    assert checkpoints.load(tmp_path / "run")[0] == fused
    assert checkpoints.load(str(tmp_path / "run"))[0] == fused


# Saving: an older file is replaced only if nothing fails.


def test_saving_replaces_an_older_file_and_leaves_no_other(saved, fused):
    checkpoints.save(saved, fused, fused.init_theta(1), {"second": True})
    assert checkpoints.load(saved)[2] == {"second": True}
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rule": "fused"}, r"`rule` must be a `rules.Rule`.*rule='fused'"),
        ({"theta": [1.0]}, "`theta` must be a dict .*Received: list"),
        ({"theta": {}}, "`theta` must have the leaves .*missing="),
        ({"metadata": ["x"]}, r"`metadata` must be a dict. Received: .*'x'"),
        ({"metadata": {"x": object()}}, "`metadata` must be JSON-serializ"),
    ],
)
def test_bad_arguments_do_not_change_the_older_file(
    saved, fused, theta, change, message
):
    before = saved.read_bytes()
    arguments = {"rule": fused, "theta": theta, "metadata": {}, **change}
    with pytest.raises(ValueError, match=message):
        checkpoints.save(saved, **arguments)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_disk_does_not_change_the_older_file(
    saved, fused, theta, monkeypatch, failing
):
    def fail(*_):
        raise OSError("no space left")

    before = saved.read_bytes()
    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="no space left"):
        checkpoints.save(saved, fused, theta)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]

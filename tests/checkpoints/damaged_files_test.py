"""Optimizer files that must be refused, each with a clear error."""

import json
import os
import pickle
import struct

import numpy as np
import pytest
import safetensors.numpy

from keras_lopt import checkpoints, rules


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.safetensors"


@pytest.fixture
def saved(path, fused, theta):
    checkpoints.save(path, fused, theta)
    return path


def rewrite(path, leaves=None, **header):
    """Changes leaves and metadata of an optimizer file; None removes them."""
    with safetensors.safe_open(path, framework="numpy") as file:
        old_leaves = {k: file.get_tensor(k) for k in file.keys()}
        old_header = file.metadata()

    def changed(old, new):
        merged = {**old, **(new or {})}
        return {k: v for k, v in merged.items() if v is not None}

    safetensors.numpy.save_file(
        changed(old_leaves, leaves), path, changed(old_header, header)
    )


def assert_refused(path, message, **kwargs):
    with pytest.raises(checkpoints.CheckpointError, match=message) as info:
        checkpoints.load(path, **kwargs)
    assert str(path) in str(info.value)
    assert isinstance(info.value, ValueError)


def test_the_required_rule_may_equal_the_rule_of_the_file(saved, fused):
    assert checkpoints.load(saved, rule=fused)[0] == fused


@pytest.mark.parametrize(
    "other", [rules.get("adam"), rules.get("fused", hidden_units=4)]
)
def test_a_file_with_another_rule_than_required_is_refused(saved, other):
    assert_refused(
        saved, "`rule` must be .*FusedRule.*Received: rule=", rule=other
    )


@pytest.mark.parametrize("size", [0, 5, 60, -1])
def test_a_truncated_file_is_refused(saved, size):
    saved.write_bytes(saved.read_bytes()[:size])
    assert_refused(saved, "truncated or not a safetensors file")


def test_a_pickle_is_refused_and_not_run(path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "exploded"),)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(Bomb(), protocol))
        assert_refused(path, "is a pickle|not a safetensors file")
    assert not (path.parent / "exploded").exists()


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_safetensors_file_without_our_header_is_refused(
    path, theta, metadata
):
    safetensors.numpy.save_file(theta, path, metadata)
    assert_refused(path, "must be weights of one of the rules")


@pytest.mark.parametrize(
    "header, message",
    [
        ({"format_version": "2"}, "`format_version` .*must be '1'.*='2'"),
        ({"format_version": None}, "`format_version` .*=None"),
        ({"rule": None}, "`rule` .*must be a JSON object.*rule=None"),
        ({"rule": "{"}, "`rule` .*must be a JSON object.*rule='{'"),
        ({"metadata": "3"}, "`metadata` .*must be a JSON object.*='3'"),
    ],
)
def test_a_bad_header_is_refused(saved, header, message):
    rewrite(saved, **header)
    assert_refused(saved, message)


@pytest.mark.parametrize(
    "spec, message",
    [
        ({}, "keys `name` and `config`. Received: {}"),
        ({"name": "fused", "config": 3}, "`config` must be a dict.*=3"),
        ({"name": "nope", "config": {}}, "registered rules .*name='nope'"),
        ({"name": "fused", "config": {"x": 1}}, r"Received: \['x'\]"),
        (
            {"name": "fused", "config": {"hidden_units": 0}},
            "`hidden_units` must be an integer >= 1",
        ),
        (
            {"name": "fused", "config": {"step_mult": "big"}},
            "`step_mult` must be a finite number.*step_mult='big'",
        ),
        (
            {"name": "fused", "config": {"hidden_units": 4}},
            r"theta\['w0'\].*must have shape \(22, 4\)",
        ),
        ({"name": "adam", "config": {}}, "must have the leaves .*missing="),
    ],
)
def test_a_bad_rule_is_refused(saved, spec, message):
    rewrite(saved, rule=json.dumps(spec))
    assert_refused(saved, message)


@pytest.mark.parametrize(
    "leaves, message",
    [
        ({"b1": None}, r"missing=\['b1'\], extra=\[\]"),
        ({"b9": np.ones(2, np.float32)}, r"missing=\[\], extra=\['b9'\]"),
        ({"b1": np.ones(2, np.float32)}, r"'b1'.*must have shape \(8,\).*\(2,"),
        ({"b1": np.ones(8, np.float64)}, "'b1'.*must be float32.*dtype=F64"),
        ({"b1": np.ones(8, np.int32)}, "'b1'.*must be float32.*dtype=I32"),
        (
            {"b1": np.array([np.nan] + 7 * [0], np.float32)},
            "'b1'.*must be finite.*1 non-finite of 8",
        ),
        ({"b1": np.full(8, np.inf, np.float32)}, "'b1'.*8 non-finite of 8"),
    ],
)
def test_bad_leaves_are_refused_by_name(saved, leaves, message):
    rewrite(saved, leaves)
    assert_refused(saved, message)


def test_a_dtype_that_numpy_lacks_is_refused(saved):
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["b1"]["dtype"] = "BF16"
    header["b1"]["shape"] = [16]  # The same number of bytes.
    encoded = json.dumps(header).encode()
    saved.write_bytes(
        struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]
    )
    assert_refused(saved, r"theta\['b1'\].*must be float32.*dtype=BF16")

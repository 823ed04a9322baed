"""safetensors files from PyLO, or with the original names; the rule choice."""

import json
import struct

import numpy as np
import pytest
import safetensors.numpy

from keras_lopt import checkpoints, rules
from tests import imported_files, small_rules


@pytest.fixture
def velo():
    return small_rules.small_rule("velo")


@pytest.fixture
def leaves(velo):
    return imported_files.leaves_of(velo)


def save(tmp_path, **states):
    """Paths of files, by name."""
    return [
        imported_files.save_safetensors(tmp_path / f"{name}.safetensors", state)
        for name, state in states.items()
    ]


def refused(source, message, **kwargs):
    with pytest.raises(checkpoints.CheckpointError, match=message):
        checkpoints.load(source, **kwargs)


def test_velo_is_imported_from_two_files_of_pylo(tmp_path, velo, leaves):
    paths = save(
        tmp_path,
        rnn=imported_files.pylo_rnn(leaves),
        mlp=imported_files.pylo_bank(leaves),
    )
    rule, theta, metadata = checkpoints.load(paths)
    assert rule == velo
    expected = checkpoints.import_theta(velo, leaves)
    for leaf, value in expected.items():
        np.testing.assert_array_equal(theta[leaf], value)
    files = metadata["imported"]["files"]
    assert [file["source"] for file in files] == [str(p) for p in paths]
    assert len({file["sha256"] for file in files}) == 2


def test_pylos_halves_of_velo_have_their_original_sizes():
    leaves = imported_files.leaves_of(rules.get("velo"))
    rnn = imported_files.pylo_rnn(leaves)
    bank = imported_files.pylo_bank(leaves)
    assert sum(v.size for v in rnn.values()) == 2_279_681
    assert sum(v.size for v in bank.values()) == 40_863


def test_half_of_velo_is_refused_and_the_missing_leaf_named(tmp_path, leaves):
    (path,) = save(tmp_path, rnn=imported_files.pylo_rnn(leaves))
    refused(path, "nearest is 'velo'.*missing=.'ff_mod_stack/~/b0'")
    refused(path, "missing=.'ff_mod_stack/~/b0'", rule="velo")


def test_the_same_half_twice_is_refused(tmp_path, leaves):
    state = imported_files.pylo_rnn(leaves)
    paths = save(tmp_path, one=state, two=state)
    refused(paths, "two.safetensors'.*another file has these leaves too")


def test_pylos_per_parameter_mlp_gets_the_offsets_of_its_optimizers(tmp_path):
    original = rules.get("adafac_mlp", hidden_units=32)
    leaves = imported_files.leaves_of(original)
    state = imported_files.pylo_mlp(leaves)
    assert sum(v.size for v in state.values()) == 2_402
    (path,) = save(tmp_path, elo=state)
    rule, theta, metadata = checkpoints.load(path)
    assert rule == rules.get("adafac_mlp", hidden_units=32, step_mult=0.01)
    assert metadata["imported"]["told"] == {"step_mult": 0.01}
    for leaf in ("w0", "b0", "w1", "b1", "w2", "b2"):
        np.testing.assert_array_equal(theta[leaf], leaves[f"nn/~/{leaf}"])
    np.testing.assert_allclose(
        theta["momentum_offsets"], [0.15216392, 0.14245212, 0.06812963]
    )
    assert checkpoints.load(path, original)[0] == original
    assert checkpoints.load(path, config={"step_mult": 0.5})[0] == rules.get(
        "adafac_mlp", hidden_units=32, step_mult=0.5
    )


def test_celo2_is_imported_from_pylo(tmp_path):
    rule = rules.get("celo2")
    leaves = imported_files.leaves_of(rule)
    state = imported_files.pylo_celo2(leaves)
    assert sum(v.size for v in state.values()) == 347
    (path,) = save(tmp_path, celo2=state)
    found, theta, _ = checkpoints.load(path)
    assert found == rule
    expected = checkpoints.import_theta(rule, leaves)
    for leaf, value in expected.items():
        np.testing.assert_array_equal(theta[leaf], value)


@pytest.mark.parametrize("name", ["adafac_mlp", "hierarchical", "velo"])
def test_the_original_names_are_imported_too(tmp_path, name):
    rule = small_rules.small_rule(name)
    (path,) = save(tmp_path, theta=imported_files.leaves_of(rule))
    assert checkpoints.load(path)[0] == rule


def test_theta_is_zero_if_the_weights_lack_the_unused_layer(
    tmp_path, velo, leaves
):
    for path in velo.imported_optional:
        del leaves[path]
    (path,) = save(tmp_path, theta=leaves)
    theta = checkpoints.load(path)[1]
    assert np.all(theta["unused_w"] == 0.0)


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_is_widened_exactly(tmp_path, dtype):
    path = tmp_path / "sgd.safetensors"
    value = np.array([-4.25], np.float32)
    bits = imported_files.bfloat16_bits(value)
    data = (value.astype(np.float16) if dtype == "F16" else bits).tobytes()
    header = {"log_lr": {"dtype": dtype, "shape": [], "data_offsets": [0, 2]}}
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    assert checkpoints.load(path)[1]["log_lr"] == -4.25


@pytest.mark.parametrize(
    "change, message",
    [
        (np.ones(()), "'log_lr'.*float16 or bfloat16.*dtype=F64"),
        (np.ones((), np.int64), "'log_lr'.*dtype=I64"),
        (np.full((), np.nan, np.float32), "'log_lr'.*must be finite"),
        (np.ones(2, np.float32), r"'log_lr'.*shape \(\).*shape=\(2,\)"),
    ],
)
def test_a_bad_leaf_is_refused_by_name(tmp_path, change, message):
    leaves = imported_files.leaves_of(rules.get("adam"))
    (path,) = save(tmp_path, theta={**leaves, "log_lr": change})
    refused(path, message)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("input_weights_", np.ones((3, 4, 29), np.float32), "30 inputs.*29"),
        ("input_weights_", np.ones((4, 30), np.float32), "3 dimensions"),
        ("output_weights_", np.ones(3, np.float32), "3 dimensions.*shape="),
        ("hidden_bias_.0", np.ones(3, np.float32), "b1.*must have shape"),
        ("surplus", np.ones(3, np.float32), "unknown=.'surplus'"),
    ],
)
def test_a_bad_tensor_of_pylo_is_named(tmp_path, leaves, name, value, message):
    state = {**imported_files.pylo_bank(leaves), name: value}
    paths = save(tmp_path, rnn=imported_files.pylo_rnn(leaves), mlp=state)
    refused(paths, message)


def test_a_wrong_layer_of_pylo_is_named(tmp_path):
    state = imported_files.pylo_mlp(
        imported_files.leaves_of(rules.get("adafac_mlp"))
    )
    state["network.input.weight"] = np.ones(4, np.float32)
    (path,) = save(tmp_path, mlp=state)
    refused(path, "'network.input.weight'.*2 dimensions")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, leaves, part):
    (path,) = save(tmp_path, theta=leaves)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    refused(path, "truncated or not a safetensors file")


# Which rule.


def test_a_wrong_rule_is_refused_and_the_misfit_named(tmp_path, leaves):
    (path,) = save(tmp_path, theta=leaves)
    refused(path, "rule 'mlp'.*missing=.'mlp/~/linear_0/b'", rule="mlp")
    refused(path, "rule 'adam'.*missing=", rule=rules.get("adam"))
    refused(path, "weights can be imported for.*rule='fused'", rule="fused")
    refused(path, "registered rules .*name='vello'.*'velo'", rule="vello")
    refused(path, "must have shape .30, 9", config={"lstm_units": 9})
    refused(path, r"Received: \['lstm'\]", rule="velo", config={"lstm": 9})
    refused(
        path,
        r"'rnn_params/linear_1/w'.*\(30, 512\).*shape=\(30, 8\)",
        rule=rules.get("velo"),
    )


def test_leaves_that_fit_no_rule_are_refused(tmp_path):
    (path,) = save(tmp_path, other={"dense/kernel": np.ones((2, 2))[:1]})
    refused(path, "dtype=F64")
    (path,) = save(tmp_path, other={"kernel": np.ones((2, 2), np.float32)})
    refused(
        path,
        r"one of the rules \[.*'velo'\].*1 leaves, among them \['kernel'\]",
    )


def test_the_error_for_an_unknown_variant_names_the_nearest_rule(tmp_path):
    leaves = imported_files.leaves_of(rules.get("adafac_mlp"))
    leaves["nn/~/w2"] = np.ones((4, 4), np.float32)  # As in MLPNomLOpt.
    leaves["nn/~/b2"] = np.ones(4, np.float32)
    (path,) = save(tmp_path, theta=leaves)
    refused(path, r"nearest is 'adafac_mlp'.*\(4, 2\).*shape=\(4, 4\)")


def test_the_error_lists_several_rules_that_fit(tmp_path, monkeypatch):
    from keras_lopt.rules import registry

    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))

    @rules.register("twin")
    class Twin(rules.SGDRule):
        pass

    (path,) = save(tmp_path, theta={"log_lr": np.zeros((), np.float32)})
    refused(path, "`rule` must be given.*candidates=.*SGDRule.*Twin")
    assert checkpoints.load(path, "twin")[0] == Twin()


def test_our_own_file_must_have_the_given_rule_and_config(tmp_path):
    rule = rules.get("fused")
    path = tmp_path / "own.safetensors"
    checkpoints.save(path, rule, rule.init_theta(0))
    assert checkpoints.load(path, "fused", {"hidden_units": 8})[0] == rule
    refused(path, "`rule` must be the rule of the file.*rule=mlp", rule="mlp")
    refused(path, "`config` must agree .*config=.'x': 1", config={"x": 1})


def test_metadata_of_other_libraries_is_ignored(tmp_path):
    path = tmp_path / "x.safetensors"
    leaf = {"log_lr": np.zeros((), np.float32)}
    safetensors.numpy.save_file(leaf, path, {"rule": "{}", "metadata": "3"})
    assert checkpoints.load(path)[0] == rules.get("sgd")

"""flax msgpack files, as google/learned_optimization and Celo write them."""

import numpy as np
import pytest

from keras_lopt import checkpoints, rules
from tests import imported_files, small_rules

msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed")

#: Rule, hyperparameters, size of theta, bytes of the file without wrapper.
LAYOUTS = [
    ("velo", {}, 2_320_385, 9_282_507),
    ("velo", {"lstm_units": 64, "bank_size": 32}, 46_337, 186_246),
    ("celo", {}, 37_089, 149_216),
    ("celo2", {}, 347, 1_833),
    ("adafac_mlp", {}, 197, 1_007),
    ("adafac_mlp", {"hidden_units": 32}, 2_409, 9_859),
    ("mlp", {}, 1_762, 7_214),
    ("hierarchical", {}, 35_799, 143_719),
    ("sgd", {}, 1, 26),
    ("sgdm", {}, 2, 63),
    ("adam", {}, 4, 124),
]


@pytest.fixture
def rule():
    return rules.get("adafac_mlp")


@pytest.fixture
def leaves(rule):
    return imported_files.leaves_of(rule)


@pytest.fixture
def refused(tmp_path):
    """Callable that checks the error for a tree, or for bytes."""

    def check(tree, message, **kwargs):
        path = tmp_path / "params"
        if not isinstance(tree, bytes):
            tree = imported_files.pack(tree)
        path.write_bytes(tree)
        with pytest.raises(checkpoints.CheckpointError, match=message) as info:
            checkpoints.load(path, **kwargs)
        assert str(path) in str(info.value)

    return check


@pytest.mark.parametrize("name, config, numbers, size", LAYOUTS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_the_original_layout_is_imported(
    tmp_path, name, config, numbers, size, wrapped
):
    rule = rules.get(name, **config)
    leaves = imported_files.leaves_of(rule)
    tree = imported_files.nested(leaves)
    content = imported_files.pack(tree)
    assert len(content) == size
    assert sum(leaf.size for leaf in leaves.values()) == numbers
    if wrapped:
        tree = {"params": tree, "gen_id": "g7", "step": 1200}
        content = imported_files.pack(tree)
    (tmp_path / "params").write_bytes(content)
    found, theta, metadata = checkpoints.load(tmp_path / "params")
    assert found == rule
    for leaf, path in rule.imported_paths().items():
        np.testing.assert_array_equal(theta[leaf], leaves[path])
    (provenance,) = metadata["imported"]["files"]
    assert provenance["format"] == "flax msgpack"
    assert provenance.get("gen_id") == ("g7" if wrapped else None)
    assert provenance.get("step") == (1200 if wrapped else None)


@pytest.mark.parametrize("chosen", ["velo", None, "the rule"])
def test_the_rule_may_be_found_or_named_or_given(tmp_path, chosen):
    rule = small_rules.small_rule("velo")
    path = tmp_path / "theta.state"
    tree = imported_files.nested(imported_files.leaves_of(rule))
    path.write_bytes(imported_files.pack(tree))
    if chosen == "the rule":
        chosen = small_rules.small_rule("velo", step_mult=0.5)
        rule = chosen
    found, _, metadata = checkpoints.load(path, chosen)
    assert found == rule
    assert ("assumed" in metadata["imported"]) == (chosen in ("velo", None))


def test_hyperparameters_that_shapes_do_not_show_are_assumed_or_given(tmp_path):
    rule = small_rules.small_rule("velo", frozen_lstm_state=True)
    path = tmp_path / "theta.state"
    tree = imported_files.nested(imported_files.leaves_of(rule))
    path.write_bytes(imported_files.pack(tree))
    found, _, metadata = checkpoints.load(
        path, "velo", {"frozen_lstm_state": True}
    )
    assert found == rule
    assert metadata["imported"]["told"] == {"frozen_lstm_state": True}
    assert metadata["imported"]["assumed"] == {
        "step_mult": 1e-3,
        "exp_mult": 1e-3,
        "bank_mult": 100.0,
        "loss_buffer_horizon": None,
    }


@pytest.mark.parametrize("code", [imported_files.ARRAY, imported_files.SCALAR])
def test_scalars_are_arrays_without_dimensions(tmp_path, code):
    value = np.float32(-4.5)
    path = tmp_path / "params"
    packed = imported_files.array(value, code)
    path.write_bytes(imported_files.pack({"log_lr": packed}))
    theta = checkpoints.load(path)[1]
    assert theta["log_lr"].shape == ()
    assert theta["log_lr"] == value


def test_a_step_may_be_an_array(tmp_path, leaves):
    tree = {"params": imported_files.nested(leaves), "step": np.int32(7)}
    tree["step"] = imported_files.array(tree["step"], imported_files.SCALAR)
    (tmp_path / "params").write_bytes(imported_files.pack(tree))
    _, _, metadata = checkpoints.load(tmp_path / "params")
    assert metadata["imported"]["files"][0]["step"] == 7


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened_exactly(tmp_path, rule, leaves, dtype):
    halves, expected = {}, {}
    for path, value in leaves.items():
        if dtype == "float16":
            halves[path] = imported_files.array(value.astype(np.float16))
            expected[path] = value.astype(np.float16).astype(np.float32)
        else:
            bits = imported_files.bfloat16_bits(value)
            halves[path] = imported_files.array(bits, dtype=dtype)
            expected[path] = (value.view(np.uint32) & 0xFFFF0000).view(
                np.float32
            )
    (tmp_path / "params").write_bytes(
        imported_files.pack(imported_files.nested(halves))
    )
    theta = checkpoints.load(tmp_path / "params")[1]
    for leaf, path in rule.imported_paths().items():
        assert theta[leaf].dtype == np.float32
        np.testing.assert_array_equal(theta[leaf], expected[path])


@pytest.mark.parametrize(
    "value, message",
    [
        (np.ones((39, 4)), "float16 or bfloat16.*dtype=float64"),
        (np.ones((39, 4), np.int32), "dtype=int32"),
        (np.ones((4, 39), np.float32), r"shape \(39, 4\).*shape=\(4, 39\)"),
        (np.full((39, 4), np.inf, np.float32), "finite.*156 non-finite of 156"),
        (3.5, "must be an array. Received: float"),
        (None, "must be an array. Received: NoneType"),
        ([1.0], "must be an array. Received: list"),
        (b"abc", "must be an array. Received: bytes"),
        (msgpack.ExtType(9, b"x"), "Received: type 9, which is unknown"),
        (msgpack.ExtType(0, b"\x80\x04."), "Received: type 0"),
        (msgpack.ExtType(2, b"x"), "Received: complex number"),
        (msgpack.Timestamp(1), "Received: Timestamp"),
        (msgpack.ExtType(1, b""), "truncated or not a flax"),
        (msgpack.ExtType(1, msgpack.packb(5)), "as .shape, dtype, bytes.*int"),
        (
            msgpack.ExtType(1, msgpack.packb([[-1], "float32", b""])),
            r"list of sizes.*shape=\[-1\]",
        ),
        (
            msgpack.ExtType(1, msgpack.packb([[39, 4], "float32", b"abcd"])),
            "must have 624 bytes. Received: 4",
        ),
        (
            msgpack.ExtType(
                1, msgpack.packb([[0, 2**62, 2**62], "float32", b""])
            ),
            "a shape that an array can have",
        ),
        (
            msgpack.ExtType(1, msgpack.packb([[1], "object", b"\x80\x04K."])),
            "dtype=object",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_a_bad_leaf_is_refused_by_name(refused, leaves, value, message):
    tree = imported_files.nested({**leaves, "nn/~/w0": value})
    refused(tree, f"'nn/~/w0'.*{message}", rule=rules.get("adafac_mlp"))


def test_a_chunked_array_is_refused(refused, leaves):
    chunked = {"__msgpack_chunked_array__": True, "shape": {"0": 1}}
    tree = imported_files.nested(leaves)
    tree["nn"]["~"]["w0"] = chunked
    refused(tree, "w0/__msgpack_chunked_array__.*must be an array")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(refused, leaves, part):
    content = imported_files.pack(imported_files.nested(leaves))
    refused(content[: int(part * len(content))], "it is truncated")


def test_an_extra_byte_is_refused(refused, leaves):
    content = imported_files.pack(imported_files.nested(leaves))
    refused(content + b"\0", "truncated or not a flax msgpack file")


@pytest.mark.parametrize(
    "tree, message",
    [
        ({"params": {}, "other": 1}, "must have the keys.*'other'"),
        ({"params": {}, "step": 1.5}, "`step` must be a string or an integer"),
        ({"params": 5}, "it must hold a dict of arrays. Received: int"),
        (b"\x81\x01\x02", "truncated or not a flax.*map key"),
        (b"\x82\xa1a\x01\xa1a\x02", "it has a key twice"),
        (b"\x81\xa1a" * 5000 + b"\x01", "truncated or not a flax"),
        (b"\x81\xa1a" * 400 + b"\x01", "must be an array"),
        (b"\x81\xc4\x01a\x01", "keys must be strings. Received: b'a'"),
    ],
)
def test_a_bad_tree_is_refused(refused, tree, message):
    refused(tree, message)


def test_a_duplicate_path_is_refused(refused):
    leaf = np.ones(1, np.float32)
    refused({"a/b": leaf, "a": {"b": leaf}}, "the leaf 'a/b' twice")

"""Imported weights as theta: leaf by leaf, or a clear error."""

import contextlib

import numpy as np
import pytest

from keras_lopt import checkpoints, rules
from tests import small_rules
from tests.imported_files import leaves_of

IMPORTABLE = [n for n in rules.names() if rules.get(n).imported_paths()]


@pytest.mark.parametrize("name", IMPORTABLE)
def test_every_leaf_comes_from_its_path(name):
    rule = small_rules.small_rule(name)
    leaves = leaves_of(rule)
    theta = checkpoints.import_theta(rule, leaves)
    rule.check_theta(theta)
    assert list(theta) == list(rule.theta_shapes())
    for leaf, path in rule.imported_paths().items():
        np.testing.assert_array_equal(theta[leaf], leaves[path])
        assert not np.shares_memory(theta[leaf], leaves[path])


@pytest.mark.parametrize("name", IMPORTABLE)
def test_every_leaf_has_a_path_of_its_own(name):
    rule = rules.get(name)
    paths = rule.imported_paths()
    assert set(paths) == set(rule.theta_shapes())
    assert len(set(paths.values())) == len(paths)
    assert set(rule.imported_optional) <= set(paths.values())


@pytest.mark.parametrize("name", IMPORTABLE)
def test_sizes_follow_from_the_shapes(name):
    rule = small_rules.small_rule(name)
    shapes = {k: v.shape for k, v in leaves_of(rule).items()}
    config = type(rule).imported_config(shapes)
    assert rules.get(name, **config) == rule
    for path in shapes:
        for wrong in ((), (1,), (1, 1, 1, 1)):
            changed = {**shapes, path: wrong}
            with contextlib.suppress(LookupError):
                type(rule).imported_config(changed)


@pytest.mark.parametrize(
    "name, paths",
    [
        ("mlp", {"w2": "mlp/~/linear_2/w"}),
        (
            "adafac_mlp",
            {"w0": "nn/~/w0", "second_moment_offsets": "rms_decays"},
        ),
        (
            "hierarchical",
            {
                "lstm_w": "rnn_params/rnn/linear/w",
                "b1": "ffmod_params/mlp/~/linear_1/b",
            },
        ),
        (
            "velo",
            {
                "unused_w": "rnn_params/linear/w",
                "own_w": "rnn_params/linear_2/w",
                "w0_13": "ff_mod_stack/~/w0__13",
                "w1": "ff_mod_stack/~/w1",
                "lstm_cell": "lstm_init_state/cell",
            },
        ),
    ],
)
def test_paths_are_those_of_the_original_weights(name, paths):
    assert paths.items() <= rules.get(name).imported_paths().items()


def test_theta_is_zero_if_the_unused_layer_is_missing():
    rule = small_rules.small_rule("velo")
    leaves = leaves_of(rule)
    expected = checkpoints.import_theta(rule, leaves)
    assert np.all(expected["unused_w"] != 0.0)
    for path in rule.imported_optional:
        del leaves[path]
    theta = checkpoints.import_theta(rule, leaves)
    for leaf, value in theta.items():
        is_unused = leaf.startswith("unused")
        np.testing.assert_array_equal(
            value, 0.0 * expected[leaf] if is_unused else expected[leaf]
        )


@pytest.mark.parametrize(
    "value, message",
    [
        (np.ones((4, 39), np.float32), r"shape \(39, 4\).*shape=\(4, 39\)"),
        (np.ones((39, 4)), "must be float32.*dtype=float64"),
        (np.full((39, 4), np.nan, np.float32), "finite.*156 non-finite of 156"),
    ],
)
def test_a_bad_leaf_is_named_by_its_path(value, message):
    rule = rules.get("adafac_mlp")
    leaves = {**leaves_of(rule), "nn/~/w0": value}
    with pytest.raises(ValueError, match=f"leaves.'nn/~/w0'.*{message}"):
        checkpoints.import_theta(rule, leaves)


def test_weights_of_another_size_are_refused():
    leaves = leaves_of(rules.get("adafac_mlp", hidden_units=8))
    with pytest.raises(ValueError, match="hidden_units=4"):
        checkpoints.import_theta(rules.get("adafac_mlp"), leaves)


def test_missing_and_unknown_leaves_are_named():
    rule = rules.get("adafac_mlp")
    leaves = leaves_of(rule)
    leaves["nn/~/w9"] = leaves.pop("nn/~/w0")
    with pytest.raises(
        ValueError, match=r"missing=\['nn/~/w0'\], unknown=\['nn/~/w9'\]"
    ):
        checkpoints.import_theta(rule, leaves)


def test_a_rule_that_cannot_import_weights_is_refused():
    with pytest.raises(
        ValueError, match="weights can be imported for.*rule='fused'"
    ):
        checkpoints.import_theta(rules.get("fused"), {})

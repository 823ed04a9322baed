"""Locations of optimizer files: bundled names, paths, directories."""

import pytest

from keras_lopt import checkpoints
from keras_lopt.checkpoints import locations


@pytest.fixture
def bundle(tmp_path, monkeypatch, fused, theta):
    """A package that ships one optimizer, `tiny`."""
    folder = tmp_path / "bundled"
    checkpoints.save(folder / "tiny.safetensors", fused, theta, {"from": "us"})
    monkeypatch.setattr(locations, "BUNDLED", folder)
    return folder


def test_bundled_names_are_sorted_stems(bundle, fused, theta):
    checkpoints.save(bundle / "another.safetensors", fused, theta)
    (bundle / "README.md").write_text("not an optimizer")
    assert checkpoints.bundled_names() == ["another", "tiny"]


def test_a_bundled_name_loads(bundle, fused):
    rule, _, metadata = checkpoints.load("tiny")
    assert rule == fused
    assert metadata == {"from": "us"}


def test_a_bundled_name_means_the_same_in_every_directory(
    bundle, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert checkpoints.load("tiny")[2] == {"from": "us"}


@pytest.mark.parametrize("name", checkpoints.bundled_names())
def test_bundled_optimizers_load_and_have_provenance(name):
    _, _, metadata = checkpoints.load(name)
    assert metadata


def test_a_missing_path_raises_and_lists_the_bundled_names(bundle):
    with pytest.raises(
        FileNotFoundError, match=r"\['tiny'\]. Received: source='tony'"
    ):
        checkpoints.load("tony")


@pytest.mark.parametrize("source", [None, 3, [], [3], [["a"]]])
def test_a_source_must_be_a_string_or_path(source):
    with pytest.raises(ValueError, match="`source` must .*Received: source="):
        checkpoints.load(source)


def test_hyperparameters_must_be_a_dict():
    with pytest.raises(ValueError, match="`config` must be a dict.*='fast'"):
        checkpoints.load("fused_digits", config="fast")


def test_a_package_without_bundled_optimizers_has_no_names(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(locations, "BUNDLED", tmp_path / "absent")
    assert checkpoints.bundled_names() == []


def test_a_directory_must_hold_a_training_run(tmp_path):
    with pytest.raises(
        checkpoints.CheckpointError, match="must hold .*best.safetensors"
    ):
        checkpoints.load(tmp_path)


def test_another_directory_raises_and_lists_its_files(tmp_path):
    for name in ("theta.state", "config.json"):
        (tmp_path / name).touch()
    with pytest.raises(
        checkpoints.CheckpointError,
        match=r"give the file itself.*\['config.json', 'theta.state'\]",
    ):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("name", checkpoints.names())
def test_bundled_optimizers_have_a_card(name):
    found = checkpoints.describe(name)
    rule, theta, metadata = checkpoints.load(name)
    assert found["name"] == name
    assert (found["rule"], found["metadata"]) == (rule, metadata)
    assert found["weights"] == sum(leaf.size for leaf in theta.values())
    assert found["card"].startswith(f"# {name}\n")


def test_a_file_without_a_card_is_described(bundle):
    assert checkpoints.describe("tiny")["card"] == ""


@pytest.mark.parametrize(
    "call", [checkpoints.describe, checkpoints.load], ids=lambda c: c.__name__
)
def test_a_misspelt_name_gets_the_nearest_one(bundle, call):
    with pytest.raises(
        (ValueError, FileNotFoundError),
        match="'tiny'.*Received: .*='tinny'. Did you mean 'tiny'?",
    ):
        call("tinny")


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_file_of_keras_points_to_load_model(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        checkpoints.CheckpointError, match="Load that by `keras.models.load_mo"
    ):
        checkpoints.load(tmp_path / name)

"""torch state dicts: plain tensors are imported, nothing is unpickled."""

import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from keras_lopt import checkpoints, rules
from tests import imported_files, small_rules


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def velo():
    return small_rules.small_rule("velo")


@pytest.fixture
def leaves(velo):
    return imported_files.leaves_of(velo)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def tensors(torch, tree):
    """Nested dicts of arrays as nested dicts of tensors."""
    return {
        k: tensors(torch, v) if isinstance(v, dict) else torch.from_numpy(v)
        for k, v in tree.items()
    }


def refused(path, message, **kwargs):
    with pytest.raises(checkpoints.CheckpointError, match=message) as info:
        checkpoints.load(path, **kwargs)
    assert str(path) in str(info.value)
    assert "weights_only=False" not in str(info.value)


class Bomb:
    def __init__(self, folder):
        self.target = str(folder / "exploded")

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapper", [None, "torch_params", "state_dict"])
def test_a_state_dict_of_pylo_is_imported(torch, path, zipped, wrapper):
    leaves = imported_files.leaves_of(rules.get("adafac_mlp", hidden_units=8))
    state = tensors(torch, imported_files.pylo_mlp(leaves))
    if wrapper:
        state = {wrapper: state, "step": 12, "other": [1, 2]}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    rule, theta, metadata = checkpoints.load(path)
    assert rule == rules.get("adafac_mlp", hidden_units=8, step_mult=0.01)
    np.testing.assert_array_equal(theta["w1"], leaves["nn/~/w1"])
    (provenance,) = metadata["imported"]["files"]
    assert provenance["format"] == "torch"
    assert provenance.get("step") == (12 if wrapper else None)


def test_a_tree_with_the_original_names_is_imported(torch, path, velo, leaves):
    torch.save(tensors(torch, imported_files.nested(leaves)), path)
    rule, theta, _ = checkpoints.load(path)
    assert rule == velo
    for leaf, name in velo.imported_paths().items():
        np.testing.assert_array_equal(theta[leaf], leaves[name])


def test_one_file_may_hold_both_halves_of_pylos_velo(torch, path, velo, leaves):
    state = imported_files.pylo_rnn(leaves) | imported_files.pylo_bank(leaves)
    state = {k: torch.nn.Parameter(v) for k, v in tensors(torch, state).items()}
    torch.save(state, path)
    assert checkpoints.load(path)[0] == velo


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened_exactly(torch, path, dtype):
    value = torch.tensor(-4.25, dtype=getattr(torch, dtype))
    torch.save({"log_lr": value}, path)
    assert checkpoints.load(path)[1]["log_lr"] == -4.25


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_refused_and_not_run(tmp_path, protocol):
    for name in ("weights.pkl", "weights.pth"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Bomb(tmp_path), protocol))
        refused(path, "a pickle.*nothing is ever|not a safetensors, flax")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_that_needs_unpickling_is_refused(torch, path, zipped):
    torch.save(
        {"log_lr": Bomb(path.parent)},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    refused(path, "would have to be unpickled, which is never done")
    assert not (path.parent / "exploded").exists()


def test_a_whole_module_is_refused(torch, path):
    torch.save(torch.nn.Linear(2, 2), path)
    refused(path, "unpickled, which is never done.*torch.nn")


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_file_is_refused(torch, path, leaves, part, zipped):
    torch.save(
        tensors(torch, leaves), path, _use_new_zipfile_serialization=zipped
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    refused(path, "it is truncated: a zip|it is damaged, or")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda t: t.zeros((), dtype=t.float64), "bfloat16.*dtype=float64"),
        (lambda t: t.zeros((), dtype=t.int32), "dtype=int32"),
        (lambda t: t.zeros((), dtype=t.complex64), "dtype=complex64"),
        (lambda t: t.tensor(float("inf")), "must be finite"),
        (lambda t: t.zeros(3), r"must have shape \(\).*shape=\(3,\)"),
        (lambda t: t.zeros(2, 2).to_sparse(), "a dense tensor.*sparse"),
        (lambda t: t.zeros((), device="meta"), "with data.*device=meta"),
        (lambda t: 0.5, "must be a tensor. Received: float"),
        (lambda t: [t.zeros(())], "must be a tensor. Received: list"),
    ],
)
def test_a_bad_leaf_is_refused_by_name(torch, path, make, message):
    torch.save({"log_lr": make(torch)}, path)
    refused(path, f"'log_lr'.*{message}")


@pytest.mark.parametrize("state", [5, [1.0], {1: 2}])
def test_a_file_without_a_dict_of_tensors_is_refused(torch, path, state):
    torch.save(state, path)
    refused(path, "must hold a dict of arrays|keys must be strings")


# Files that torch did not write, and missing libraries.


def test_numpy_archives_and_arrays_are_refused(tmp_path):
    leaf = np.zeros((), np.float32)
    np.savez(tmp_path / "x.npz", log_lr=leaf)
    refused(tmp_path / "x.npz", "must be a torch file.*'log_lr.npy'")
    objects = np.array([Bomb(tmp_path)], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    refused(tmp_path / "x.npy", "is an .npy file.*nothing is ever unpickled")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 40, b"<html>", b"{}"])
def test_other_files_are_refused(path, content):
    path.write_bytes(content)
    refused(path, "truncated, or not a safetensors, flax msgpack or torch")


@pytest.fixture
def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("weights/data.pkl", b"")
    return path


@pytest.mark.parametrize(
    "name, extra, content",
    [("torch", "torch", None), ("msgpack", "import", b"\x81\xa1a\x01")],
)
def test_a_missing_library_is_named(archive, monkeypatch, name, extra, content):
    monkeypatch.setitem(sys.modules, name, None)
    if content:
        archive.write_bytes(content)
    with pytest.raises(
        checkpoints.MissingLibraryError,
        match=rf"needs the library `{name}`.*pip install 'keras_lopt\[{extra}",
    ) as info:
        checkpoints.load(archive)
    assert isinstance(info.value, ImportError)


def test_a_torch_version_that_loads_unsafely_is_refused(archive, monkeypatch):
    old = types.ModuleType("torch")
    old.__version__ = "2.5.1+cpu"
    monkeypatch.setitem(sys.modules, "torch", old)
    refused(archive, "needs torch 2.6 or newer. Received: torch 2.5.1")

"""Imports the theta of recorded traces in every format, and replays a trace.

The traces (tests/rules/golden) were recorded with google/learned_optimization.
"""

import pathlib

import keras
import numpy as np
import pytest

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import imported_files

FOLDER = pathlib.Path(__file__).parents[2] / "rules" / "golden"
#: Trace -> the rule that the names and shapes of its theta imply.
TRACES = {
    "adafac_mlp_lopt": rules.get("adafac_mlp"),
    "hyper_v2": rules.get("velo", lstm_units=128, bank_size=64),
    "learnable_adam": rules.get("adam"),
    "learnable_sgd": rules.get("sgd"),
    "learnable_sgdm": rules.get("sgdm"),
    "mlp_lopt": rules.get("mlp"),
    "rnn_mlp_lopt": rules.get("hierarchical"),
}
HORIZON = 100


def arrays_of(name):
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def leaves_of(arrays):
    return {
        key.removeprefix("theta/"): value
        for key, value in arrays.items()
        if key.startswith("theta/")
    }


def write_flax(folder, leaves):
    path = folder / "params"
    tree = imported_files.nested(leaves)
    content = {"params": tree, "gen_id": "golden", "step": 0}
    path.write_bytes(imported_files.pack(content))
    return path


def write_torch(folder, leaves):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    path = folder / "theta.pt"
    torch.save({k: torch.from_numpy(v) for k, v in leaves.items()}, path)
    return path


def write_safetensors(folder, leaves):
    return imported_files.save_safetensors(folder / "theta", leaves)


def write_pylo(folder, leaves):
    halves = imported_files.pylo_rnn(leaves), imported_files.pylo_bank(leaves)
    return [
        imported_files.save_safetensors(folder / f"half{i}", half)
        for i, half in enumerate(halves)
    ]


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("write", [write_flax, write_torch, write_safetensors])
def test_every_format_gives_the_same_theta(tmp_path, name, write):
    leaves, rule = leaves_of(arrays_of(name)), TRACES[name]
    found, theta, _ = checkpoints.load(write(tmp_path, leaves))
    assert found == rule
    expected = checkpoints.import_theta(rule, leaves)
    assert list(theta) == list(expected)
    for leaf, value in expected.items():
        np.testing.assert_array_equal(theta[leaf], value)


@pytest.mark.parametrize("write", [write_flax, write_pylo])
def test_an_imported_velo_replays_its_trace(tmp_path, write):
    arrays = arrays_of("hyper_v2")
    path = tmp_path / "ours.safetensors"
    checkpoints.convert(write(tmp_path, leaves_of(arrays)), path)
    optimizer = LearnedOptimizer.from_checkpoint(path, horizon=HORIZON)
    names = sorted(k for k in arrays if k.startswith("params0/"))
    names = [name.removeprefix("params0/") for name in names]
    variables = [keras.Variable(arrays[f"params0/{name}"]) for name in names]
    optimizer.build(variables)
    for step, loss in enumerate(arrays["losses"]):
        optimizer.scale_loss(loss)
        grads = [arrays[f"grads/{name}"][step] for name in names]
        optimizer.apply_gradients(
            zip(map(keras.ops.convert_to_tensor, grads), variables)
        )
        for name, variable in zip(names, variables, strict=True):
            np.testing.assert_allclose(
                variable,
                arrays[f"params/{name}"][step],
                rtol=1e-4,
                atol=1e-5,
                err_msg=f"{name} after step {step}",
            )

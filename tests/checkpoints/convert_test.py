"""checkpoints.convert and keras-lopt convert."""

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_lopt import LearnedOptimizer, checkpoints, commands
from tests import binaries, imported_files, small_rules

BINARY = binaries.BIN / "convert_checkpoint.py"


@pytest.fixture
def velo():
    return small_rules.small_rule("velo")


@pytest.fixture
def source(tmp_path, velo):
    leaves = imported_files.leaves_of(velo)
    return imported_files.save_safetensors(tmp_path / "theta", leaves)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "velo.safetensors"


@pytest.fixture
def run():
    """Callable that runs the command with these arguments; its status."""
    return lambda *arguments: commands.main(["convert", *arguments])


@pytest.fixture
def refusal(run, out, capsys):
    """Callable from arguments to the error; checks that nothing was written."""

    def call(*arguments):
        assert run(f"--out={out}", *arguments) == 2
        assert not out.parent.exists()
        error = capsys.readouterr().err
        assert error.startswith("keras-lopt convert: ")
        assert error.count("\n") == 1
        return error

    return call


def test_a_converted_file_loads(source, out, velo):
    rule, metadata = checkpoints.convert(source, out, license="Apache-2.0")
    loaded, theta, stored = checkpoints.load(out)
    assert loaded == rule == velo
    assert stored == metadata
    assert stored["license"] == "Apache-2.0"
    (file,) = stored["imported"]["files"]
    assert file["source"] == str(source)
    assert file["format"] == "safetensors"
    assert len(file["sha256"]) == 64
    for leaf, value in checkpoints.load(source)[1].items():
        np.testing.assert_array_equal(theta[leaf], value)
    optimizer = LearnedOptimizer.from_checkpoint(out, horizon=10)
    assert optimizer.rule == velo


def test_converting_our_own_file_adds_the_license_to_its_metadata(
    tmp_path, out, fused, theta
):
    own = tmp_path / "own.safetensors"
    checkpoints.save(own, fused, theta, {"score": 1.5})
    checkpoints.convert(own, out, license="MIT")
    assert checkpoints.load(out)[2] == {"score": 1.5, "license": "MIT"}


@pytest.mark.parametrize(
    "name, message",
    [
        ("old.safetensors", "nothing is overwritten.*old.safetensors"),
        ("velo.npz", "must end in .safetensors.*velo.npz"),
    ],
)
def test_a_bad_path_is_refused(source, tmp_path, name, message):
    (tmp_path / "old.safetensors").write_text("old")
    with pytest.raises((ValueError, FileExistsError), match=message):
        checkpoints.convert(source, tmp_path / name)
    assert (tmp_path / "old.safetensors").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["old.safetensors", "theta"]


def test_an_optimizer_imports_weights(source, velo):
    optimizer = LearnedOptimizer.from_checkpoint(
        source, "velo", {"step_mult": 0.5}, horizon=10, clipnorm=1.0
    )
    assert optimizer.rule == small_rules.small_rule("velo", step_mult=0.5)
    assert optimizer.clipnorm == 1.0


def test_the_script_converts_with_hyperparameters(run, source, out, capsys):
    run(
        f"--source={source}",
        f"--out={out}",
        "--rule=velo",
        "--config",
        "frozen_lstm_state=True",
        "loss_buffer_horizon=10",
        "--config=step_mult=0.5",
        "--license=Apache-2.0",
    )
    rule, _, metadata = checkpoints.load(out)
    assert rule == small_rules.small_rule(
        "velo", frozen_lstm_state=True, loss_buffer_horizon=10, step_mult=0.5
    )
    assert metadata["license"] == "Apache-2.0"
    printed = capsys.readouterr().out
    assert f"{out}: VeLORule(lstm_units=8" in printed
    assert "Assumed, because nothing told them: {'exp_mult': 0.001" in printed


def test_the_script_joins_files(run, tmp_path, out, velo):
    leaves = imported_files.leaves_of(velo)
    halves = {
        "rnn": imported_files.pylo_rnn(leaves),
        "mlp": imported_files.pylo_bank(leaves),
    }
    sources = [
        imported_files.save_safetensors(tmp_path / name, state)
        for name, state in halves.items()
    ]
    run(f"--out={out}", *[f"--source={path}" for path in sources])
    assert checkpoints.load(out)[0] == velo


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--rule=vello"], "name='vello'"),
        (["--rule=mlp"], "missing=['mlp/~/linear_0/b'"),
        (["--rule=velo", "--config=lstm_units=9"], "must have shape (30, 9)"),
        (["--rule=velo", "--config=lstm=9"], "Received: ['lstm']"),
        (["--rule=velo", "--config=step_mult=big"], "step_mult='big'"),
        (["--rule=velo", "--config=frozen_lstm_state=1"], "True or False"),
    ],
)
def test_the_script_refuses_rules_and_configs_that_do_not_fit(
    refusal, source, arguments, message
):
    assert message in refusal(f"--source={source}", *arguments)


def test_the_script_refuses_a_missing_source_and_lists_names(refusal):
    error = refusal("--source=no_such")
    for name in checkpoints.bundled_names():
        assert name in error
    assert "source='no_such'" in error


def test_the_script_names_a_missing_library(refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "keras_lopt[hub]" in refusal("--source=hf://me/mine")


def test_the_script_overwrites_nothing(run, source, tmp_path, capsys):
    old = tmp_path / "old.safetensors"
    old.write_text("old")
    assert run(f"--source={source}", f"--out={old}") == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert old.read_text() == "old"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--source=x"], "arguments are required: --out"),
        (["--out=x"], "arguments are required: --source"),
        (["--source=x", "--out=y", "more"], "unrecognized arguments: more"),
        (["--source=x", "--out=y", "a=1"], "unrecognized arguments: a=1"),
        (["--source=x", "--out=y", "--config=a"], "Received: 'a'"),
        (["--source=x", "--out=y", "--config==1"], "Received: '=1'"),
    ],
)
def test_bad_usage_is_refused(run, capsys, arguments, message):
    try:
        status = run(*arguments)
    except SystemExit as caught:
        status = caught.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_the_program_exits_with_2_and_one_line(tmp_path, source):
    content = source.read_bytes()
    source.write_bytes(content[:-5])
    result = subprocess.run(
        [
            sys.executable,
            BINARY,
            f"--source={source}",
            f"--out={tmp_path / 'new.safetensors'}",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    (message,) = [
        line
        for line in result.stderr.splitlines()
        if line.startswith("keras-lopt convert: ")
    ]
    assert "truncated" in message
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == ["theta"]

"""How commands start."""

import os
import subprocess
import sys

import pytest

from keras_lopt.commands import start

SCRIPT = """
import sys
from keras_lopt.commands import start
start.keep_compiled(*sys.argv[1:])
import tensorflow as tf
print(tf.function(lambda x: x + x, jit_compile=True)(tf.ones([3]))[0].numpy())
"""


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Function of settings to the folders that there are after them."""
    monkeypatch.delitem(sys.modules, "tensorflow")

    def after(*settings):
        monkeypatch.setenv("TF_XLA_FLAGS", "--a=1")
        start.keep_compiled(tmp_path, *settings)
        flags, folder = os.environ["TF_XLA_FLAGS"].split(" --")
        assert flags == "--a=1"
        assert os.path.isdir(folder.partition("=")[2])
        return len(list(tmp_path.iterdir()))

    return after


def test_compiled_programs_lie_apart_by_settings(folders, monkeypatch):
    assert folders("tiny.gin") == 1
    assert folders("tiny.gin") == 1
    assert folders("mixture.gin") == 2
    monkeypatch.setenv("XLA_FLAGS", "--b=1")
    assert folders("mixture.gin") == 3


def test_compiled_programs_are_kept(tmp_path):
    command = [sys.executable, "-c", SCRIPT, tmp_path, "x.gin"]
    times = []
    for _ in range(2):
        output = subprocess.run(
            command, check=True, capture_output=True, text=True
        )
        assert output.stdout == "2.0\n"
        (kept,) = tmp_path.glob("*/*")
        times.append(kept.stat().st_mtime_ns)
    assert times[0] == times[1]


def test_refuses_to_keep_programs_once_tensorflow_is_there(tmp_path):
    with pytest.raises(ValueError, match="before TensorFlow .*compiled_dir='"):
        start.keep_compiled(tmp_path)

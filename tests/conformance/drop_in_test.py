"""Keras scripts in which only the optimizer is ours, on every backend."""

import pathlib
import runpy

import pytest

from tests.conformance.other_backends import run

FOLDER = pathlib.Path(__file__).parents[2] / "colab"
#: Script -> accuracy that it must exceed.
SCRIPTS = {
    "simple_convnet.py": 0.95,  # Adam with its defaults reaches 0.91.
    "text_classifier.py": 0.93,  # Adam reaches 0.955.
}


@pytest.fixture(params=SCRIPTS)
def script(request):
    return FOLDER / request.param


def test_the_model_learns(script):
    assert runpy.run_path(script)["score"][1] > SCRIPTS[script.name]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_model_learns_on_other_backends(backend, script):
    program = (
        "import runpy\n"
        f"score = runpy.run_path({str(script)!r})['score']\n"
        f"assert score[1] > {SCRIPTS[script.name]}, score"
    )
    run(backend, program)


def test_only_two_lines_of_the_script_are_ours(script):
    lines = script.read_text().partition('"""\n\n')[2].splitlines()
    assert [line.strip() for line in lines if "Learned" in line] == [
        "from keras_lopt import LearnedOptimizer",
        'optimizer=LearnedOptimizer.from_checkpoint("fused_digits"),',
    ]

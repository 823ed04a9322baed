"""A Keras script in which only the optimizer's line is ours, on any backend."""

import pathlib
import runpy

import pytest

from tests.conformance.other_backends import run

SCRIPT = pathlib.Path(__file__).parents[2] / "colab" / "simple_convnet.py"
#: Adam, with its defaults in the same place, ends at 0.91.
ACCURACY = 0.95


def test_the_convnet_learns():
    assert runpy.run_path(SCRIPT)["score"][1] > ACCURACY


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_convnet_learns_on(backend):
    program = (
        "import runpy\n"
        f"score = runpy.run_path({str(SCRIPT)!r})['score']\n"
        f"assert score[1] > {ACCURACY}, score"
    )
    run(backend, program)


def test_two_lines_are_ours():
    lines = SCRIPT.read_text().partition('"""\n\n')[2].splitlines()
    assert [line.strip() for line in lines if "Learned" in line] == [
        "from keras_lopt import LearnedOptimizer",
        'optimizer=LearnedOptimizer.from_checkpoint("fused_digits"),',
    ]

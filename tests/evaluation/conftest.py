"""Curves that are known, for the tests of evaluation."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from keras_lopt import evaluation

STEPS = 6


@pytest.fixture
def curve():
    """Callable: a curve whose training loss halves at every step."""

    def make(start, test_loss=0.1):
        return evaluation.Curve(
            start * 0.5 ** np.arange(STEPS), test_loss, test_accuracy=0.9
        )

    return make


@pytest.fixture
def known(curve):
    """A comparison: two problems, two learning rates and one that diverges."""
    return evaluation.Comparison(
        "known",
        STEPS,
        ours=[curve(1.0, test_loss=0.3), curve(2.0, test_loss=0.1)],
        adam={
            0.1: [curve(1.5, test_loss=0.5), curve(1.5, test_loss=0.5)],
            0.01: [curve(9.0, test_loss=0.2), curve(9.0, test_loss=0.2)],
            1.0: [curve(np.nan), curve(1.0)],
        },
    )


@pytest.fixture
def closed_figures():
    """Closes all figures when the test ends."""
    yield
    plt.close("all")

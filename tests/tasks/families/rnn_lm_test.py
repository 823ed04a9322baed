"""Recurrent language models: cores, and no look into the future."""

import keras
import numpy as np
import pytest

from keras_lopt import tasks

SMALL = {"units": 4, "embed": 3, "vocabulary": 30, "length": 6}
GATES = {"vrnn": 1, "gru": 3, "lstm": 4}

pytestmark = pytest.mark.parametrize("family", ["rnn_char_lm", "rnn_word_lm"])


@pytest.mark.parametrize("core", GATES)
def test_cores_have_the_right_number_of_gates(family, core, layers_of):
    task = tasks.get(family, core=core, **SMALL)
    (layer,) = layers_of(task, keras.layers.RNN)
    assert layer.cell.kernel.shape == (3, 4 * GATES[core])
    assert task.model.output.shape == (None, 6, 30)


def test_an_output_depends_only_on_its_token_and_earlier_ones(
    family, outputs_of
):
    task = tasks.get(family, core="vrnn", **SMALL)
    tokens = task.dataset.inputs[:1].copy()
    before = outputs_of(task, tokens).numpy()[0]
    tokens[0, 3] = (tokens[0, 3] + 1) % 30
    after = outputs_of(task, tokens).numpy()[0]
    is_same = np.all(before == after, axis=-1)
    np.testing.assert_array_equal(is_same, [True] * 3 + [False] * 3)


def test_an_unknown_core_is_refused(family):
    with pytest.raises(ValueError, match="`core` must be one of .*'rnn'"):
        tasks.get(family, **{**SMALL, "core": "rnn"})

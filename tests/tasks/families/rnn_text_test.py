"""Text classification: the readouts of a core."""

import keras
import numpy as np
import pytest

from keras_lopt import tasks

SMALL = {"units": 4, "embed": 3, "vocabulary": 50, "length": 5}
READOUTS = {
    "last": lambda x: x[:, -1],
    "mean": lambda x: x.mean(axis=1),
    "max": lambda x: x.max(axis=1),
}


@pytest.mark.parametrize("readout", READOUTS)
def test_the_classifier_sees_the_readout_of_the_core(readout, layers_of):
    task = tasks.get("rnn_text", readout=readout, **SMALL)
    (core,) = layers_of(task, keras.layers.GRU)
    (dense,) = layers_of(task, keras.layers.Dense)
    (embedding,) = layers_of(task, keras.layers.Embedding)
    tokens = task.dataset.inputs[:3]
    state = np.zeros([3, 4], np.float32)
    outputs = []
    for step in range(5):
        state, _ = core.cell(embedding(tokens[:, step]), state)
        outputs.append(np.asarray(state))
    features = READOUTS[readout](np.stack(outputs, axis=1))
    np.testing.assert_allclose(task.model(tokens), dense(features), atol=1e-5)


def test_an_unknown_readout_is_refused():
    with pytest.raises(ValueError, match="`readout` must be one of .*'first'"):
        tasks.get("rnn_text", readout="first", **SMALL)

"""Transformers on text: the causal mask, and positions."""

import numpy as np
import pytest

from keras_lopt import tasks

SMALL = {"embed": 4, "heads": 2, "vocabulary": 30, "length": 6}


def test_an_output_depends_only_on_its_token_and_earlier_ones(outputs_of):
    task = tasks.get("transformer_lm", **SMALL)
    tokens = task.dataset.inputs[:1].copy()
    before = outputs_of(task, tokens).numpy()[0]
    tokens[0, 3] = (tokens[0, 3] + 1) % 30
    after = outputs_of(task, tokens).numpy()[0]
    is_same = np.abs(before - after).max(axis=-1) < 1e-6
    np.testing.assert_array_equal(is_same, [True] * 3 + [False] * 3)


def test_outputs_differ_between_positions(outputs_of):
    task = tasks.get("transformer_lm", **SMALL)
    outputs = outputs_of(task, np.full([1, 6], 5, np.int32)).numpy()[0]
    assert np.all(np.abs(np.diff(outputs, axis=0)).max(axis=-1) > 1e-4)


@pytest.mark.parametrize(
    "config, message",
    [
        ({"embed": 5}, "`embed` must be divisible by `heads`.*embed=5"),
        ({"depth": 0}, "`depth` must be an integer >= 1"),
        ({"level": "line"}, '`level` must be "char" or "word"'),
    ],
)
def test_bad_settings_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        tasks.get("transformer_lm", **{**SMALL, **config})

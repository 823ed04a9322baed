"""Text that ships with Python, as tokens."""

import numpy as np
import pytest

from keras_lopt.tasks import text

ABC = "a b c d " * 40


def test_characters_keep_their_case_and_words_become_lower_case():
    (characters,), size = text.tokenize(["Abab"], "char", 10)
    assert size == 5  # Padding, rare tokens, and three characters.
    assert characters[1] == characters[3] != characters[0]
    (words,), size = text.tokenize(["One two, one."], "word", 10)
    assert words[0] == words[2] != words[1]


def test_rare_tokens_share_the_number_one():
    (words,), size = text.tokenize(["a a a b b c d"], "word", 4)
    assert size == 4
    np.testing.assert_array_equal(words[-2:], [1, 1])


def test_targets_are_the_next_tokens():
    tokens = np.arange(41, dtype=np.int32)
    dataset = text.language("count", tokens, 4)
    assert dataset.inputs.shape == (10, 4)
    np.testing.assert_array_equal(dataset.targets, dataset.inputs + 1)
    np.testing.assert_array_equal(np.sort(dataset.inputs[:, 0]), tokens[:40:4])


def test_the_embedded_text_is_long_and_english():
    docs = text.python_docs()
    assert len(docs) > 300_000
    assert docs.count(" the ") > 3000


def test_a_text_dataset_is_made_only_once():
    assert text.get(length=8)[0] is text.get(length=8)[0]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: text.tokenize([ABC], "byte", 9), '`level` must be "char" or'),
        (lambda: text.tokenize([ABC], "char", 2), "`vocabulary` must be"),
        (
            lambda: text.get(source="web"),
            "`source` must be 'python', 'modules' or",
        ),
        (
            lambda: text.language("x", np.arange(9, dtype=np.int32), 4),
            "`length` must be short enough for text 'x' of 9 tokens to",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

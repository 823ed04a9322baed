"""Language models: a recurrent network predicts the next character or word."""

import functools

import keras

from keras_lopt.tasks.parts import sequences
from keras_lopt.tasks.registry import register_family


def draw_characters(sampler):
    """Draws a configuration of `rnn_char_lm`."""
    return _draw(
        sampler,
        lambda: 256 if sampler.chance(0.8) else sampler.log_int(100, 256),
        longest=160,
    )


def draw_words(sampler):
    """Draws a configuration of `rnn_word_lm`."""
    return _draw(sampler, lambda: sampler.log_int(1000, 30_000), longest=256)


def _draw(sampler, draw_vocabulary, longest):
    return {
        "embed": sampler.log_int(8, 128),
        **sequences.draw_core(sampler),
        "vocabulary": draw_vocabulary(),
        "length": sampler.log_int(10, longest),
        "batch_size": sampler.log_int(8, 512),
        "variation": sampler.variation(),
    }


def rnn_lm(
    level,
    embed=16,
    core="gru",
    units=32,
    initializer="glorot_uniform",
    recurrent_initializer="orthogonal",
    vocabulary=1000,
    length=16,
    source="python",
    batch_size=16,
    variation=None,
):
    """The next token of a text, by an embedding, a core and a linear layer.

    The families `rnn_char_lm` and `rnn_word_lm` have all arguments but `level`.

    Args:
        level: "char" or "word".
        embed: Number of features per embedded token.
        core: "vrnn", "gru", "lstm", or for short sequences "unrolled".
        units: Size of the core's state.
        initializer, recurrent_initializer: Names or configurations of Keras
            initializers.
        vocabulary, length, source: As for `text.get`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    config = core, units, initializer, recurrent_initializer

    def body(tokens, size):
        x = keras.layers.Embedding(size, embed)(tokens)
        return sequences.core(*config, sequences=True)(x)

    return sequences.language_task(
        f"rnn_{level}_lm",
        (embed, config),
        body,
        {
            "source": source,
            "level": level,
            "vocabulary": vocabulary,
            "length": length,
        },
        batch_size,
        variation,
    )


rnn_char_lm = register_family(draw_characters, "rnn_char_lm")(
    functools.partial(rnn_lm, "char", vocabulary=256)
)
rnn_word_lm = register_family(draw_words, "rnn_word_lm")(
    functools.partial(rnn_lm, "word")
)

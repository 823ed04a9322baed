"""Language models: a causal transformer predicts the next character or word."""

import keras

from keras_lopt.tasks.parts import attention, sequences
from keras_lopt.tasks.registry import register_family


def draw(sampler):
    """Draws a configuration of `transformer_lm`."""
    level = sampler.choice(("char", "word"))
    words = sampler.log_int(1000, 10_000)
    return {
        **attention.draw(sampler),
        "level": level,
        "vocabulary": 256 if level == "char" else words,
        "length": sampler.log_int(8, 128),
        "batch_size": sampler.log_int(8, 128),
        "variation": sampler.variation(),
    }


@register_family(draw)
def transformer_lm(
    embed=16,
    heads=2,
    depth=1,
    expansion=2,
    level="char",
    vocabulary=256,
    length=16,
    source="python",
    batch_size=16,
    variation=None,
):
    """The next token of a text.

    Args:
        embed, heads, depth, expansion: As for `attention.blocks`.
        level, vocabulary, length, source: As for `text.get`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """

    def body(tokens, size):
        x = keras.layers.Embedding(size, embed)(tokens)
        return attention.blocks(x, embed, heads, depth, expansion, causal=True)

    return sequences.language_task(
        "transformer_lm",
        (embed, heads, depth, expansion),
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

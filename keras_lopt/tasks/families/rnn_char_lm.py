"""Language models of characters: a recurrent network predicts the next one."""

from keras_lopt.tasks.families import sequences
from keras_lopt.tasks.registry import register_family


def draw(sampler):
    """A configuration of `rnn_char_lm`."""
    return {
        "embed": sampler.log_int(8, 128),
        **sequences.draw_core(sampler),
        "vocabulary": 256 if sampler.chance(0.8) else sampler.log_int(100, 256),
        "length": sampler.log_int(10, 160),
        "batch_size": sampler.log_int(8, 512),
        "variation": sampler.variation(),
    }


@register_family(draw)
def rnn_char_lm(
    embed=16,
    core="gru",
    units=32,
    initializer="glorot_uniform",
    recurrent_initializer="orthogonal",
    vocabulary=256,
    length=16,
    source="python",
    batch_size=16,
    variation=None,
):
    """The next of a text's characters, by an embedding, a core, a linear layer.

    Args:
        embed: Features of an embedded token.
        core: "vrnn", "gru" or "lstm".
        units: Size of the core's state.
        initializer, recurrent_initializer: Keras initializers' names or
            configurations.
        vocabulary, length, source: As for `text.get`.
        batch_size, variation: As for `Task`; or a dict for `Variation`.
    """
    return sequences.recurrent_language_task(
        "rnn_char_lm",
        embed,
        (core, units, initializer, recurrent_initializer),
        {
            "source": source,
            "level": "char",
            "vocabulary": vocabulary,
            "length": length,
        },
        batch_size,
        variation,
    )

"""Passages of text classified by recurrent networks."""

import keras

from keras_lopt.checks import check_choice
from keras_lopt.tasks.data import text
from keras_lopt.tasks.parts import common, sequences
from keras_lopt.tasks.registry import register_family

READOUTS = ("last", "mean", "max")


def draw(sampler):
    """Draws a configuration of `rnn_text`."""
    return {
        "embed": sampler.log_int(8, 128),
        **sequences.draw_core(sampler),
        "readout": sampler.choice(READOUTS),
        "vocabulary": sampler.log_int(100, 10_000),
        # With longer passages the embedded text would have too few of them.
        "length": sampler.log_int(8, 64),
        "batch_size": sampler.log_int(8, 128),
        "variation": sampler.variation(labels=True),
    }


@register_family(draw)
def rnn_text(
    embed=16,
    core="gru",
    units=32,
    initializer="glorot_uniform",
    recurrent_initializer="orthogonal",
    readout="last",
    vocabulary=1000,
    length=16,
    source="python",
    batch_size=32,
    variation=None,
):
    """Passages classified by an embedding, a core and a linear layer.

    Args:
        embed: Number of features per embedded word.
        core: "vrnn", "gru", "lstm", or for short sequences "unrolled".
        units: Size of the core's state.
        initializer, recurrent_initializer: Names or configurations of Keras
            initializers.
        readout: What the classifier sees of the core's outputs: the "last"
            one, or the "mean" or "max" over steps.
        vocabulary, length, source: As for `text.passages`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    check_choice("readout", readout, READOUTS)
    dataset, size = text.passages(source, vocabulary, length)
    config = core, units, initializer, recurrent_initializer

    def body(tokens):
        x = keras.layers.Embedding(size, embed)(tokens)
        x = sequences.core(*config, sequences=readout != "last")(x)
        if readout == "mean":
            return keras.layers.GlobalAveragePooling1D()(x)
        return keras.layers.GlobalMaxPooling1D()(x) if readout == "max" else x

    name = common.task_name(
        "rnn_text", dataset, embed, config, readout, batch_size
    )
    return common.classifier(name, body, dataset, batch_size, variation)

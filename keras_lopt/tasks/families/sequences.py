"""What the families of sequences share: cores, and language models."""

import keras

from keras_lopt.tasks import text
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.families import common
from keras_lopt.tasks.normalizers import chance

#: Vanilla RNN, GRU and LSTM.
CORES = {
    "vrnn": keras.layers.SimpleRNN,
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
}


def draw_core(sampler):
    """Arguments of `core`; gates share an initializer, mostly."""
    initializer = sampler.initializer()
    is_shared = sampler.chance(0.8)
    return {
        "core": sampler.choice(tuple(CORES)),
        "units": sampler.log_int(32, 128),
        "initializer": initializer,
        "recurrent_initializer": (
            initializer if is_shared else sampler.initializer()
        ),
    }


def core(kind, units, initializer, recurrent_initializer, sequences):
    """A recurrent layer.

    Args:
        kind: One of `CORES`.
        units: Size of its state.
        initializer, recurrent_initializer: Keras initializers' names or
            configurations.
        sequences: Whether it returns its output at every step.
    """
    if kind not in CORES:
        raise ValueError(
            f"`core` must be one of {sorted(CORES)}. Received: core={kind!r}"
        )
    # cuDNN's loops are the same formula, but not for XLA.
    options = {} if kind == "vrnn" else {"use_cudnn": False}
    return CORES[kind](
        units,
        kernel_initializer=common.new(initializer),
        recurrent_initializer=common.new(recurrent_initializer),
        return_sequences=sequences,
        **options,
    )


def recurrent_language_task(family, embed, config, data, batch_size, variation):
    """A `language_task` by an embedding and a core.

    Args:
        embed: Features of an embedded token.
        config: Arguments of `core`: kind, units and initializers.
        family, data, batch_size, variation: As for `language_task`.
    """

    def body(tokens, size):
        x = keras.layers.Embedding(size, embed)(tokens)
        return core(*config, sequences=True)(x)

    return language_task(
        family, (embed, config), body, data, batch_size, variation
    )


def language_task(family, config, body, data, batch_size, variation):
    """A task: the next token of a text, by a body and a linear layer.

    Args:
        family: Name of the family.
        config: What the body is made of, for the task's name.
        body: Function from tokens [batch, length] and their number to
            features [batch, length, width].
        data: Arguments of `text.get`.
        batch_size, variation: As for `Task`; or a dict for `Variation`.
    """
    dataset, size = text.get(**data)

    def model_fn():
        inputs = keras.Input(dataset.inputs.shape[1:], dtype="int32")
        return keras.Model(inputs, keras.layers.Dense(size)(body(inputs, size)))

    return Task(
        common.task_name(family, dataset, config, batch_size),
        model_fn,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        dataset,
        batch_size,
        common.as_variation(variation),
        normalizer=chance(size),
    )

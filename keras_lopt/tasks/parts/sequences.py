"""What families of sequences share: recurrent cores and language models."""

import keras

from keras_lopt.tasks import layers
from keras_lopt.tasks.data import text
from keras_lopt.tasks.normalizers import chance
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.task import Task

#: Vanilla RNN, GRU and LSTM, of which samplers draw; and a vanilla RNN that is
#: fast to train on short sequences.
CORES = {
    "vrnn": keras.layers.SimpleRNN,
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
    "unrolled": layers.UnrolledRNN,
}
DRAWN = ("vrnn", "gru", "lstm")


def draw_core(sampler):
    """Draws arguments of `core`. Most gates share one initializer."""
    initializer = sampler.initializer()
    is_shared = sampler.chance(0.8)
    return {
        "core": sampler.choice(DRAWN),
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
        units: Size of the state.
        initializer, recurrent_initializer: Names or configurations of Keras
            initializers.
        sequences: Whether the layer returns the outputs of all steps.
    """
    if kind not in CORES:
        raise ValueError(
            f"`core` must be one of {sorted(CORES)}. Received: core={kind!r}"
        )
    # cuDNN computes the same formula, but XLA cannot compile it.
    options = {"use_cudnn": False} if kind in ("gru", "lstm") else {}
    return CORES[kind](
        units,
        kernel_initializer=common.initializer_of(initializer),
        recurrent_initializer=common.initializer_of(recurrent_initializer),
        return_sequences=sequences,
        **options,
    )


def language_task(family, config, body, data, batch_size, variation):
    """A task: predict the next token of a text, by a body and a linear layer.

    Args:
        family: Name of the family.
        config: Arguments of the body, for the task's name.
        body: Function of tokens [batch, length] and the number of different
            tokens; it returns features [batch, length, width].
        data: Dict of arguments of `text.get`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
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

"""Classification of small real datasets by Keras MLPs."""

import keras

from keras_lopt.checks import check_integer
from keras_lopt.tasks import datasets, layers
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.registry import register


def mlp_task(dataset, hidden, activation, batch_size, variation, max_loss=None):
    """A task: `dataset` classified by an MLP.

    Args:
        dataset: A `tasks.Dataset` of flat inputs.
        hidden: Widths of the hidden layers.
        activation: Name of a Keras activation, or a list of names: then each
            problem draws one of them.
        batch_size: Examples a step.
        variation: A `tasks.Variation` or None.
        max_loss: As for `Task`.
    """
    if not isinstance(hidden, (tuple, list)) or len(hidden) < 1:
        raise ValueError(
            "`hidden` must be a tuple of one or more widths. "
            f"Received: hidden={hidden!r}"
        )
    for i, width in enumerate(hidden):
        check_integer(f"hidden[{i}]", width, 1)
    num_inputs = dataset.inputs.shape[1]

    def model_fn():
        inputs = keras.Input((num_inputs,))
        x = inputs
        for width in hidden:
            x = layers.Dense(width)(x)
            x = layers.activation(activation)(x)
        outputs = layers.Dense(dataset.num_classes)(x)
        return keras.Model(inputs, outputs)

    sizes = [num_inputs, *hidden, dataset.num_classes]
    name = f"{dataset.name}_mlp_" + "-".join(map(str, sizes))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Task(name, model_fn, loss, dataset, batch_size, variation, max_loss)


@register
def digits_mlp(
    size=8, hidden=(32,), activation="relu", batch_size=64, variation=None
):
    """Handwritten digits, 8x8 or 4x4 pixels; see `mlp_task`.

    >>> from keras_lopt import tasks
    >>> task = tasks.digits_mlp(size=4, hidden=(16,))
    >>> task.name, task.model.count_params()
    ('digits4x4_mlp_16-16-10', 442)
    """
    return mlp_task(
        datasets.digits(size), hidden, activation, batch_size, variation
    )


@register
def wine_mlp(hidden=(32,), activation="relu", batch_size=32, variation=None):
    """178 wines of 3 cultivars; see `mlp_task`."""
    return mlp_task(datasets.wine(), hidden, activation, batch_size, variation)


@register
def breast_cancer_mlp(
    hidden=(32,), activation="relu", batch_size=32, variation=None
):
    """569 tumours, malignant or benign; see `mlp_task`."""
    return mlp_task(
        datasets.breast_cancer(), hidden, activation, batch_size, variation
    )

"""Classification or regression of tables of measurements, by small MLPs."""

import keras
import numpy as np

from keras_lopt.tasks import layers
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.normalizers import Normalizer
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register_family
from keras_lopt.tasks.task import Task


def draw(sampler):
    """Draws a configuration of `tabular`."""
    data = sampler.choice(("wine", "breast_cancer", "diabetes"))
    return {
        "hidden": sampler.widths(range(1, 4), 8, 64),
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "data": data,
        "batch_size": sampler.log_int(8, 64),
        "variation": sampler.variation(labels=data != "diabetes"),
    }


@register_family(draw)
def tabular(
    hidden=(32,),
    activation="relu",
    initializer="glorot_uniform",
    data="diabetes",
    batch_size=32,
    variation=None,
):
    """Classification, or regression with squared errors for "diabetes".

    Args:
        hidden, activation, initializer: As for `mlp`.
        data: "wine", "breast_cancer", "iris" or "diabetes".
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    dataset = datasets.get(data)
    name = common.task_name(
        "tabular", dataset, hidden, activation, initializer, batch_size
    )

    def body(x):
        return common.perceptron(x, hidden, activation, initializer)

    make = _regression if dataset.num_classes is None else common.classifier
    return make(name, body, dataset, batch_size, variation)


def _regression(name, body, dataset, batch_size, variation):
    """As `common.classifier`, but with numbers as targets."""

    def model_fn():
        inputs = keras.Input(common.input_shape(dataset, variation))
        outputs = layers.Dense(dataset.targets.shape[1])(body(inputs))
        return keras.Model(inputs, outputs)

    variance = float(np.var(dataset.arrays("train")[1]))
    return Task(
        name,
        model_fn,
        keras.losses.MeanSquaredError(),
        dataset,
        batch_size,
        common.as_variation(variation),
        normalizer=Normalizer(unit=variance, ceiling=4.0),
    )

"""Multi-layer perceptrons: a family on images, and three fixed tasks.

The fixed tasks report their losses in nats. The family's losses are on the
scale of all families: 1.0 is guessing.
"""

from collections.abc import Sequence

import keras

from keras_lopt.checks import check_integer
from keras_lopt.tasks.augmentation.variation import Variation
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.normalizers import in_nats
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register, register_family
from keras_lopt.tasks.task import Task


def draw(sampler):
    """Draws a configuration of `mlp`."""
    return {
        "hidden": sampler.widths(range(1, 7), 16, 128),
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "center": sampler.chance(0.5),
        **common.image_config(sampler),
    }


@register_family(draw)
def mlp(
    hidden=(32,),
    activation="relu",
    initializer="glorot_uniform",
    center=False,
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images classified by an MLP.

    Args:
        hidden: Widths of the hidden layers.
        activation: As for `layers.activation`.
        initializer: Name or configuration of a Keras initializer.
        center: Whether pixels are in [-1, 1] instead of [0, 1].
        data: Name of a dataset of images, as for `datasets.get`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    dataset = datasets.get(data)
    name = common.task_name(
        "mlp", dataset, hidden, activation, initializer, center, batch_size
    )

    def body(x):
        x = keras.layers.Flatten()(x)
        return common.perceptron(x, hidden, activation, initializer)

    return common.classifier(name, body, dataset, batch_size, variation, center)


@register
def digits_mlp(
    size: int = 8,
    hidden: Sequence[int] = (32,),
    activation: str | Sequence[str] = "relu",
    batch_size: int = 64,
    variation: Variation | None = None,
) -> Task:
    """Handwritten digits of 8x8 or 4x4 pixels, classified by an MLP.

    Args:
        size: Side of the images in pixels, 8 or 4.
        hidden: Widths of the hidden layers, one or more.
        activation: As for `layers.activation`.
        batch_size: Examples per step.
        variation: A `Variation` or None.

    >>> from keras_lopt import tasks
    >>> task = tasks.digits_mlp(size=4, hidden=(16,))
    >>> task.name, task.model.count_params()
    ('digits4x4_mlp_16-16-10', 442)
    """
    return _mlp_in_nats(
        datasets.digits(size), hidden, activation, batch_size, variation
    )


@register
def wine_mlp(
    hidden: Sequence[int] = (32,),
    activation: str | Sequence[str] = "relu",
    batch_size: int = 32,
    variation: Variation | None = None,
) -> Task:
    """178 wines of 3 cultivars; arguments as for `digits_mlp`."""
    return _mlp_in_nats(
        datasets.wine(), hidden, activation, batch_size, variation
    )


@register
def breast_cancer_mlp(
    hidden: Sequence[int] = (32,),
    activation: str | Sequence[str] = "relu",
    batch_size: int = 32,
    variation: Variation | None = None,
) -> Task:
    """569 tumors, malignant or benign; arguments as for `digits_mlp`."""
    return _mlp_in_nats(
        datasets.breast_cancer(), hidden, activation, batch_size, variation
    )


def _mlp_in_nats(dataset, hidden, activation, batch_size, variation):
    """The fixed task of a dataset of flat inputs."""
    if not isinstance(hidden, (tuple, list)) or len(hidden) < 1:
        raise ValueError(
            "`hidden` must be a tuple of one or more widths. "
            f"Received: hidden={hidden!r}"
        )
    for i, width in enumerate(hidden):
        check_integer(f"hidden[{i}]", width, 1)
    sizes = [dataset.inputs.shape[1], *hidden, dataset.num_classes]
    return common.classifier(
        f"{dataset.name}_mlp_" + "-".join(map(str, sizes)),
        lambda x: common.perceptron(x, hidden, activation),
        dataset,
        batch_size,
        variation,
        normalizer=in_nats(dataset.num_classes),
    )

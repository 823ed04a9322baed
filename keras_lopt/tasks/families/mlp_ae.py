"""Autoencoders of images with dense layers."""

import math

import keras
from keras import ops

from keras_lopt.checks import check_choice
from keras_lopt.tasks import layers
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register_family
from keras_lopt.tasks.task import Task

OUTPUTS = ("tanh", "tanh", "sigmoid", "sigmoid", "linear_center", "linear")


def draw(sampler):
    """Draws a configuration of `mlp_ae`."""
    return {
        "hidden": sampler.widths(range(1, 7), 32, 128),
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "output": sampler.choice(OUTPUTS),
        "loss": sampler.choice(("l2", "l2", "l1")),
        "reduce": sampler.choice(("mean", "sum")),
        "data": sampler.choice(common.EMBEDDED_IMAGES),
        "batch_size": sampler.log_int(*common.BATCH),
        "variation": sampler.variation(),
    }


@register_family(draw)
def mlp_ae(
    hidden=(32,),
    activation="relu",
    initializer="glorot_uniform",
    output="sigmoid",
    loss="l2",
    reduce="mean",
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images that an MLP reconstructs.

    Args:
        hidden, activation, initializer, data: As for `mlp`.
        output: Activation of the last layer: "sigmoid" or "linear" for pixels
            in [0, 1]; or "tanh" or "linear_center" (none) for pixels in
            [-1, 1], which are then moved to [0, 1].
        loss: "l1" or "l2".
        reduce: "mean" or "sum" over pixels.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    dataset = datasets.autoencoding(datasets.get(data))
    name = common.task_name(
        "mlp_ae",
        dataset,
        hidden,
        activation,
        initializer,
        output,
        loss,
        reduce,
        batch_size,
    )
    check_choice("output", output, OUTPUTS)
    shape = dataset.inputs.shape[1:]
    return Task(
        name,
        lambda: _model(shape, hidden, activation, initializer, output),
        PixelLoss(loss, reduce),
        dataset,
        batch_size,
        common.as_variation(variation),
        normalizer=common.pixel_normalizer(data, loss, reduce),
    )


def _model(shape, hidden, activation, initializer, output):
    """An autoencoder of images; other arguments as for `mlp_ae`."""
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    x = common.perceptron(x, hidden, activation, initializer)
    x = common.dense(math.prod(shape), initializer)(x)
    squashed = output if output in ("tanh", "sigmoid") else "linear"
    x = layers.activation(squashed)(x)
    if output in ("tanh", "linear_center"):
        x = keras.layers.Rescaling(0.5, 0.5)(x)
    return keras.Model(inputs, keras.layers.Reshape(shape)(x))


@keras.saving.register_keras_serializable(package="keras_lopt")
class PixelLoss(keras.losses.Loss):
    """Absolute or squared errors of pixels, averaged over examples.

    Args:
        kind: "l1" or "l2".
        reduce: "mean" or "sum" over an example's pixels.
    """

    def __init__(self, kind="l2", reduce="mean", name="pixels", **kwargs):
        super().__init__(name=name, **kwargs)
        check_choice("loss", kind, ("l1", "l2"))
        check_choice("reduce", reduce, ("mean", "sum"))
        self.kind, self.reduce = kind, reduce

    def call(self, y_true, y_pred):
        errors = y_pred - y_true
        errors = ops.abs(errors) if self.kind == "l1" else ops.square(errors)
        axes = tuple(range(1, len(errors.shape)))
        reduce = ops.mean if self.reduce == "mean" else ops.sum
        return reduce(errors, axis=axes)

    def get_config(self):
        own = {"kind": self.kind, "reduce": self.reduce}
        return {**super().get_config(), **own}

"""Classification of random data by small networks.

It follows the softmax regressions (with sparse gradients) and fully connected
networks of Wichrowska et al. 2017 (arXiv 1703.04813).
"""

import keras
from keras import ops

from keras_lopt.tasks import layers
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.losses import MeanOutput
from keras_lopt.tasks.normalizers import chance
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register_family
from keras_lopt.tasks.task import Task


def draw(sampler):
    """Draws a configuration of `random_data`."""
    is_softmax = sampler.chance(0.5)
    return {
        "hidden": () if is_softmax else sampler.widths(range(1, 5), 4, 32),
        "features": sampler.log_int(4, 64),
        "classes": sampler.integer(2, 10),
        "activation": sampler.activation(),
        "sparsity": sampler.uniform(0.5, 0.99) if is_softmax else 0.0,
        "batch_size": sampler.log_int(8, 128),
        "variation": sampler.variation(),
    }


@register_family(draw)
def random_data(
    hidden=(8,),
    features=16,
    classes=4,
    activation="relu",
    sparsity=0.0,
    batch_size=32,
    variation=None,
):
    """Normal inputs, whose classes are those of a problem's random linear map.

    Args:
        hidden: Widths of the hidden layers; () for softmax regression.
        features: Number of features per input.
        classes: Number of classes.
        activation: As for `mlp`.
        sparsity: Fraction of features per example that are zero.
        batch_size: Examples per step; every step draws new ones.
        variation: A `Variation`, or a dict of its arguments.
    """
    config = (tuple(hidden), features, classes, activation, sparsity)
    return Task(
        f"random_data_{common.digest((config, batch_size))}",
        lambda: _model(*config, batch_size),
        MeanOutput(),
        datasets.nothing(),
        1,
        common.as_variation(variation),
        normalizer=chance(classes),
    )


def _model(hidden, features, classes, activation, sparsity, batch_size):
    """A model whose output is its loss; arguments as for `random_data`."""
    inputs = keras.Input((1,))
    x, labels = RandomExamples(features, classes, sparsity, batch_size)(inputs)
    x = common.perceptron(x, hidden, activation)
    logits = layers.Dense(classes)(x)
    losses = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    return keras.Model(inputs, losses)


class RandomExamples(keras.layers.Layer):
    """Examples and their classes, drawn anew at every call.

    Args:
        features, classes, sparsity, batch_size: As for `random_data`.
    """

    def __init__(self, features, classes, sparsity, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.features, self.classes = features, classes
        self.sparsity, self.batch_size = sparsity, batch_size
        self.teacher_initializer = keras.initializers.RandomNormal(stddev=1.0)
        self.generator = keras.random.SeedGenerator(0)

    def build(self, input_shape):
        self.teacher = self.add_weight(
            name="teacher",
            shape=(self.features, self.classes),
            initializer=self.teacher_initializer,
            trainable=False,
        )

    def call(self, inputs):
        shape = (self.batch_size, self.features)
        examples = keras.random.normal(shape, seed=self.generator)
        if self.sparsity:
            drawn = keras.random.uniform(shape, seed=self.generator)
            kept = ops.cast(drawn >= self.sparsity, examples.dtype)
            examples = kept * examples
        labels = ops.argmax(ops.matmul(examples, self.teacher), axis=-1)
        return examples, ops.cast(labels, "int32")

    def compute_output_spec(self, inputs):
        shape = (self.batch_size, self.features)
        return (
            keras.KerasTensor(shape, dtype="float32"),
            keras.KerasTensor((self.batch_size,), dtype="int32"),
        )

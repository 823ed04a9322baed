"""Flows: densities of images by bijectors of TensorFlow Probability.

Their networks are Keras layers. So a flow is a Keras layer, whose weights are
initialized, trained and saved like those of any other.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_lopt.tasks import layers
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.losses import MeanOutput
from keras_lopt.tasks.normalizers import FromStart
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.task import Task

#: Standard deviation of the noise on pixels, so that they have a density.
NOISE = 0.01


def draw(sampler):
    """Draws a configuration of `nvp` or `maf`."""
    return {
        "hidden": sampler.widths((1, 2), 16, 128),
        "bijectors": sampler.integer(1, 4),
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "data": sampler.choice(common.EMBEDDED_IMAGES),
        "batch_size": sampler.log_int(*common.BATCH),
        "variation": sampler.variation(),
    }


class Flow(keras.layers.Layer):
    """-log p of flat inputs with noise, in nats per example.

    Args:
        config: Hidden widths, activation and initializer of the networks.
        num_bijectors: Number of bijectors. Between two of them the order of
            the entries is reversed.
        noise: Standard deviation of the noise that is added to inputs.
    """

    def __init__(self, config, num_bijectors, noise=NOISE, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.num_bijectors, self.noise = num_bijectors, noise
        self.generator = keras.random.SeedGenerator(0)

    def build_networks(self, inputs, outputs, dense=None):
        """Makes `networks`, one per bijector, from `inputs` to `outputs`."""
        self.networks = []
        for _ in range(self.num_bijectors):
            made = network(*self.config, outputs, dense)
            shape = (None, inputs)
            for layer in made:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            self.networks.append(made)

    def bijector(self, number):
        """The TFP bijector number `number`, from noise to data."""
        raise NotImplementedError

    def distribution(self):
        """The TFP distribution of inputs."""
        from tensorflow_probability import bijectors, distributions

        order = np.arange(self.size)[::-1].copy()
        chain = [self.bijector(0)]
        for number in range(1, self.num_bijectors):
            chain += [bijectors.Permute(order), self.bijector(number)]
        base = distributions.MultivariateNormalDiag(tf.zeros([self.size]))
        return distributions.TransformedDistribution(
            base, bijectors.Chain(chain)
        )

    def call(self, inputs):
        shape = ops.shape(inputs)
        noise = keras.random.normal(shape, seed=self.generator)
        density = self.distribution().log_prob(inputs + self.noise * noise)
        return ops.expand_dims(-density, axis=-1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs.shape[0], 1), dtype="float32")


def network(hidden, activation, initializer, outputs, dense=None):
    """The list of Keras layers of an MLP whose outputs start near zero.

    Args:
        hidden, activation, initializer: As for `mlp`.
        outputs: Number of outputs.
        dense: Function that makes a layer from its number, its width and an
            initializer; default: `common.dense`.
    """
    dense = dense or (lambda i, width, init: common.dense(width, init))
    made = []
    for i, width in enumerate(hidden):
        made += [dense(i, width, initializer), layers.activation(activation)]
    # Near the identity, where densities are finite for every initializer.
    last = {"class_name": "RandomNormal", "config": {"stddev": 0.01}}
    return [*made, dense(len(hidden), outputs, last)]


def run(network_layers, x):
    """Applies the layers of a network to a tensor."""
    for layer in network_layers:
        x = layer(x)
    return x


def flow_task(name, flow_fn, data, batch_size, variation):
    """A task: the density of images by a flow.

    Args:
        name: Name of the task.
        flow_fn: Function that makes a `Flow`.
        data, batch_size, variation: As for `mlp`.
    """
    dataset = datasets.get(data)
    shape = dataset.inputs.shape[1:]

    def model_fn():
        inputs = keras.Input(shape)
        x = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, flow_fn()(x))

    # No density can be higher than that of the noise itself.
    entropy = 0.5 * math.log(2.0 * math.pi * math.e * NOISE**2)
    return Task(
        name,
        model_fn,
        MeanOutput(),
        dataset,
        batch_size,
        common.as_variation(variation),
        normalizer=FromStart(floor=entropy * math.prod(shape)),
    )

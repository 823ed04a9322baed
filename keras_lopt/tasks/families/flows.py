"""Densities of images by flows: bijectors of TensorFlow Probability.

Their networks are Keras layers, so that a flow is a Keras layer and its
weights begin, are trained and are saved like any other's.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_lopt.tasks import layers, sources
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.families import common
from keras_lopt.tasks.losses import MeanOutput
from keras_lopt.tasks.normalizers import FromStart

#: Deviation of the noise that is added to pixels, so that there is a density.
NOISE = 0.01


def draw(sampler):
    """Arguments that both families of flows have."""
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
    """-log p of flat inputs with noise, in nats an example.

    Args:
        config: Of the networks: hidden widths, activation, initializer.
        num_bijectors: Number of bijectors; the order of the entries is
            reversed between them.
        noise: Deviation of what is added to inputs.
    """

    def __init__(self, config, num_bijectors, noise=NOISE, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.num_bijectors, self.noise = num_bijectors, noise
        self.generator = keras.random.SeedGenerator(0)

    def build_networks(self, inputs, outputs, dense=None):
        """Makes `networks`, one a bijector, from `inputs` to `outputs`."""
        self.networks = []
        for _ in range(self.num_bijectors):
            made = network(*self.config, outputs, dense)
            shape = (None, inputs)
            for layer in made:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            self.networks.append(made)

    def bijector(self, number):
        """The TFP bijector from noise to data with this number."""
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
    """A list of Keras layers: an MLP that starts near zero.

    Args:
        hidden, activation, initializer: As for `mlp`.
        outputs: Number of outputs.
        dense: Function from a layer's number and width and an initializer to
            the layer; default: `common.dense`.
    """
    dense = dense or (lambda i, width, init: common.dense(width, init))
    made = []
    for i, width in enumerate(hidden):
        made += [dense(i, width, initializer), layers.activation(activation)]
    # Near the identity, where a density is finite whatever the initializer.
    last = {"class_name": "RandomNormal", "config": {"stddev": 0.01}}
    return [*made, dense(len(hidden), outputs, last)]


def run(network_layers, x):
    """What the layers of a network make of a tensor."""
    for layer in network_layers:
        x = layer(x)
    return x


def flow_task(name, flow_fn, data, batch_size, variation):
    """A task: the density of images by a flow.

    Args:
        name: Of the task.
        flow_fn: Function that makes a `Flow`.
        data, batch_size, variation: As for `mlp`.
    """
    dataset = sources.get(data)
    shape = dataset.inputs.shape[1:]

    def model_fn():
        inputs = keras.Input(shape)
        x = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, flow_fn()(x))

    # No density is likelier than the noise's own.
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

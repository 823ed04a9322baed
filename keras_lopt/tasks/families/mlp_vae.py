"""Variational autoencoders of images (Kingma and Welling 2013, 1312.6114)."""

import math

import keras
from keras import ops

from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.normalizers import FromStart
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register_family
from keras_lopt.tasks.task import Task


def draw(sampler):
    """Draws a configuration of `mlp_vae`."""
    return {
        "encoder": sampler.widths(range(1, 5), 32, 128),
        "decoder": sampler.widths(range(1, 4), 32, 128),
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "data": sampler.choice(common.EMBEDDED_IMAGES),
        "batch_size": sampler.log_int(*common.BATCH),
        "variation": sampler.variation(),
    }


@register_family(draw)
def mlp_vae(
    encoder=(32,),
    decoder=(32,),
    activation="relu",
    initializer="glorot_uniform",
    data="digits8",
    batch_size=64,
    variation=None,
):
    """Images by a VAE with dense layers; the loss is minus the ELBO in nats.

    Args:
        encoder: Widths of its layers; the last is the size of the latent too.
        decoder: Widths of its layers.
        activation, initializer, data: As for `mlp`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    dataset = datasets.autoencoding(datasets.get(data))
    name = common.task_name(
        "mlp_vae",
        dataset,
        encoder,
        decoder,
        activation,
        initializer,
        batch_size,
    )
    shape = dataset.inputs.shape[1:]
    return Task(
        name,
        lambda: _model(shape, encoder, decoder, activation, initializer),
        QuantizedNormal(),
        dataset,
        batch_size,
        common.as_variation(variation),
        normalizer=FromStart(),
    )


def _model(shape, encoder, decoder, activation, initializer):
    """A VAE of images; other arguments as for `mlp_vae`."""
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    x = common.perceptron(x, encoder, activation, initializer)
    mean = common.dense(encoder[-1], initializer)(x)
    log_variance = common.dense(encoder[-1], initializer)(x)
    x = GaussianSample()([mean, log_variance])
    x = common.perceptron(x, decoder, activation, initializer)
    outputs = common.dense(2 * math.prod(shape), initializer)(x)
    return keras.Model(inputs, keras.layers.Reshape((*shape, 2))(outputs))


@keras.saving.register_keras_serializable(package="keras_lopt")
class GaussianSample(keras.layers.Layer):
    """Samples N(mean, variance), and adds its divergence from N(0, 1).

    The inputs are the mean and the logarithm of the variance, both clipped to
    [-10, 10].
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        mean, log_variance = (ops.clip(x, -10.0, 10.0) for x in inputs)
        variance = ops.exp(log_variance)
        divergence = ops.square(mean) + variance - 1.0 - log_variance
        self.add_loss(0.5 * ops.mean(ops.sum(divergence, axis=-1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.generator)
        return mean + ops.sqrt(variance) * noise


@keras.saving.register_keras_serializable(package="keras_lopt")
class QuantizedNormal(keras.losses.Loss):
    """-log p of pixels in 256 bins of [0, 1], in nats per example.

    The outputs [..., 2] are the mean and the logarithm of the standard
    deviation, both clipped to [-10, 10]. The tails are in the outer bins.
    """

    def __init__(self, name="quantized_normal", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        outputs = ops.clip(y_pred, -10.0, 10.0)
        mean, deviation = outputs[..., 0], ops.exp(outputs[..., 1])
        half = 0.5 / 255.0
        above = (y_true + half - mean) / deviation
        below = (y_true - half - mean) / deviation
        above = ops.where(y_true > 1.0 - half, 1e6, above)
        below = ops.where(y_true < half, -1e6, below)
        # In the lower tail, where differences of the cdf are precise.
        flip = above + below > 0.0
        low = ops.where(flip, -above, below)
        high = ops.where(flip, -below, above)
        probability = _normal_cdf(high) - _normal_cdf(low)
        # Far out the difference rounds to zero: there, density times width.
        middle = ops.where(low < -1e5, high, 0.5 * (low + high))
        log_density = -0.5 * ops.square(middle) - ops.log(deviation)
        log_density += math.log(2.0 * half) - 0.5 * math.log(2.0 * math.pi)
        is_safe = probability > 1e-5
        safe = ops.where(is_safe, probability, 1.0)
        log_probability = ops.where(is_safe, ops.log(safe), log_density)
        axes = tuple(range(1, len(mean.shape)))
        return -ops.sum(log_probability, axis=axes)


def _normal_cdf(x):
    return 0.5 * (1.0 + ops.erf(x / math.sqrt(2.0)))

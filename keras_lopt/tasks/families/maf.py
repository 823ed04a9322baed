"""Masked autoregressive flows (Papamakarios, Pavlakou, Murray 2017,
arXiv 1705.07057) with MADE networks (Germain et al. 2015, 1502.03509)."""

import keras
import numpy as np
from keras import ops

from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.parts import common, flows
from keras_lopt.tasks.registry import register_family


@register_family(flows.draw)
def maf(
    hidden=(32,),
    bijectors=2,
    activation="relu",
    initializer="glorot_uniform",
    data="digits4",
    batch_size=64,
    variation=None,
):
    """The density of images, of each pixel given the pixels before it.

    Args:
        hidden, bijectors, activation, initializer, data: As for `nvp`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    config = tuple(hidden), activation, initializer
    name = common.task_name(
        "maf", datasets.get(data), config, bijectors, batch_size
    )
    return flows.flow_task(
        name, lambda: MAF(config, bijectors), data, batch_size, variation
    )


class MaskedDense(keras.layers.Dense):
    """A dense layer in which some connections are missing.

    Args:
        mask: [inputs, units], 1 for a connection and 0 for none.
    """

    def __init__(self, mask, **kwargs):
        super().__init__(mask.shape[1], **kwargs)
        self.connections = np.array(mask, np.float32).tolist()

    def call(self, inputs):
        mask = np.array(self.connections, np.float32)
        kernel = self.kernel * ops.cast(mask, self.kernel.dtype)
        return ops.matmul(inputs, kernel) + self.bias


def degrees(size, hidden):
    """How many of the first inputs each unit may depend on, layer by layer.

    Returns:
        A list of arrays: 1..size for the inputs; 1..size-1 in turn for the
        units of each hidden layer; and 1, 1, 2, 2, ... for the outputs, which
        are a shift and a scale per input.
    """
    found = [np.arange(1, size + 1)]
    found += [np.arange(width) % max(1, size - 1) + 1 for width in hidden]
    return [*found, np.repeat(found[0], 2)]


class MAF(flows.Flow):
    """-log p by autoregressive bijectors; arguments as for `Flow`."""

    def build(self, input_shape):
        self.size = input_shape[-1]
        units = degrees(self.size, self.config[0])

        def dense(number, width, initializer):
            before, after = units[number], units[number + 1]
            is_last = number + 2 == len(units)
            mask = (
                before[:, None] < after if is_last else before[:, None] <= after
            )
            return MaskedDense(
                mask, kernel_initializer=common.initializer_of(initializer)
            )

        self.build_networks(self.size, 2 * self.size, dense)

    def bijector(self, number):
        from tensorflow_probability import bijectors

        def shift_and_log_scale(x, **condition):
            del condition
            outputs = flows.run(self.networks[number], x)
            outputs = ops.reshape(outputs, (-1, self.size, 2))
            return outputs[..., 0], ops.tanh(outputs[..., 1])

        return bijectors.MaskedAutoregressiveFlow(shift_and_log_scale)

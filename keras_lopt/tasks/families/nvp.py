"""Real NVP (Dinh, Sohl-Dickstein, Bengio 2016, arXiv 1605.08803)."""

from keras import ops

from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.parts import common, flows
from keras_lopt.tasks.registry import register_family


@register_family(flows.draw)
def nvp(
    hidden=(32,),
    bijectors=2,
    activation="relu",
    initializer="glorot_uniform",
    data="digits4",
    batch_size=64,
    variation=None,
):
    """The density of images by affine couplings of two halves.

    Args:
        hidden: Widths of the hidden layers of each bijector's network.
        bijectors: Number of bijectors.
        activation, initializer, data: As for `mlp`.
        batch_size: Examples per step.
        variation: A `Variation`, or a dict of its arguments.
    """
    config = tuple(hidden), activation, initializer
    name = common.task_name(
        "nvp", datasets.get(data), config, bijectors, batch_size
    )
    return flows.flow_task(
        name, lambda: NVP(config, bijectors), data, batch_size, variation
    )


class NVP(flows.Flow):
    """-log p by affine couplings; arguments as for `Flow`."""

    def build(self, input_shape):
        self.size = input_shape[-1]
        self.masked = self.size // 2
        self.build_networks(self.masked, 2 * (self.size - self.masked))

    def bijector(self, number):
        from tensorflow_probability import bijectors

        def shift_and_log_scale(x, units, **condition):
            del units, condition
            outputs = flows.run(self.networks[number], x)
            shift, log_scale = ops.split(outputs, 2, axis=-1)
            return shift, ops.tanh(log_scale)

        return bijectors.RealNVP(
            num_masked=self.masked,
            shift_and_log_scale_fn=shift_and_log_scale,
        )

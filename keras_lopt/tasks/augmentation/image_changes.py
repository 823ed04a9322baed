"""Images that are shifted, flipped and recolored, differently at every step.

TaskSet's augmentations (Metz et al. 2020, arXiv 2002.11887), mostly by Keras's
own layers. They are a model around a model, and act in training only.
"""

import dataclasses

import keras
from keras import layers, ops

from keras_lopt.checks import check_integer, check_number
from keras_lopt.tasks.augmentation.wrapper import ModelWrapper


@dataclasses.dataclass(frozen=True)
class ImageChanges:
    """What changes at random in every image; by default nothing.

    Args:
        crop: Largest number of pixels by which an image moves, vertically and
            horizontally. The pixels that come in are zero.
        left_right: Whether half of the images are mirrored.
        up_down: Whether half of the images are turned upside down.
        brightness, contrast, saturation, hue: The largest change, a fraction
            as for `keras.layers.RandomBrightness` and so on. Saturation and
            hue need images with three channels. Pixels are clipped to [0, 1].
    """

    crop: int = 0
    left_right: bool = False
    up_down: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self):
        check_integer("crop", self.crop, 0)
        for field in ("brightness", "contrast", "saturation", "hue"):
            check_number(field, getattr(self, field), "[0, 1]")

    def layers(self):
        """The Keras layers that make the changes, in order."""
        made = [RandomShift(self.crop)] if self.crop else []
        if self.left_right:
            made.append(layers.RandomFlip("horizontal", seed=0))
        if self.up_down:
            made.append(layers.RandomFlip("vertical", seed=0))
        for field, kind in (
            ("brightness", layers.RandomBrightness),
            ("contrast", layers.RandomContrast),
            ("saturation", layers.RandomSaturation),
            ("hue", layers.RandomHue),
        ):
            factor = getattr(self, field)
            if factor:
                # For this layer of Keras, 0.5 means no change.
                around = (0.5 - factor / 2, 0.5 + factor / 2)
                factor = around if field == "saturation" else factor
                made.append(kind(factor, value_range=(0, 1), seed=0))
        return made

    def check(self, shape):
        """Raises ValueError unless a shape of inputs is that of images."""
        is_colored = self.saturation > 0.0 or self.hue > 0.0
        if not isinstance(shape, tuple) or len(shape) != 4:
            raise ValueError(
                "`images` must be for a model of images [batch, height, width, "
                f"channels]. Received: inputs of shape {shape}"
            )
        if is_colored and shape[-1] != 3:
            raise ValueError(
                "`saturation` and `hue` must be 0 unless images have 3 "
                f"channels. Received: saturation={self.saturation}, "
                f"hue={self.hue}, images of shape {shape[1:]}"
            )


class RandomShift(layers.Layer):
    """Moves every image by its own random number of whole pixels.

    Args:
        most: Largest number of pixels, along both axes.
    """

    def __init__(self, most, **kwargs):
        super().__init__(**kwargs)
        self.most = most
        self.generator = keras.random.SeedGenerator(0)

    def call(self, inputs, training=None):
        if not training:
            return inputs
        for axis in (1, 2):
            inputs = self._moved(inputs, axis)
        return inputs

    def _moved(self, inputs, axis):
        count, length = ops.shape(inputs)[0], inputs.shape[axis]
        start = keras.random.randint(
            (count, 1, 1), 0, 2 * self.most + 1, seed=self.generator
        )
        # [count, from, to]; in XLA a product is faster than a gather.
        places = ops.arange(length)
        is_from = ops.equal(
            places[None, :, None], places[None, None, :] + start - self.most
        )
        moves = ops.cast(is_from, inputs.dtype)
        letters = "bhwc,bhk->bkwc" if axis == 1 else "bhwc,bwk->bhkc"
        return ops.einsum(letters, inputs, moves)


@keras.saving.register_keras_serializable(package="keras_lopt")
class ChangedImages(ModelWrapper):
    """Computes what another model does; in training, on changed images.

    Args:
        inner: A built Keras model.
        changes: Dict of arguments of `ImageChanges`.
    """

    def __init__(self, inner, changes, **kwargs):
        super().__init__(inner, **kwargs)
        self.changes = dict(changes)
        settings = ImageChanges(**self.changes)
        settings.check(self.input_shape)
        self.steps = settings.layers()
        self.build(self.input_shape)

    def seen(self, inputs, training):
        if training:
            for layer in self.steps:
                inputs = layer(inputs, training=True)
        return inputs

    def get_config(self):
        return {**super().get_config(), "changes": self.changes}

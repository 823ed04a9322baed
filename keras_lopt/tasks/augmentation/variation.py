"""Variation: what differs between the problems of one task.

Everything is sampled per problem inside the compiled program, so that one
program serves a whole distribution of problems.
"""

import dataclasses
import math
import zlib

import tensorflow as tf

from keras_lopt.checks import check_flag, check_integer, check_numbers


@dataclasses.dataclass(frozen=True)
class Variation:
    """Which properties of a problem vary; by default none.

    Args:
        init_scale: Range of a log-uniform factor, one per problem, by which
            all initial trainable values are multiplied.
        input_scale: Range of a log-uniform factor, one per problem, by which
            inputs are multiplied.
        reparametrization: Range of a log-uniform factor: the model computes
            with `factor * params` and starts from `params / factor`. It is the
            same function with other gradients. The augmentation with the
            largest effect in Celo2.
        label_permutation: Whether class numbers are permuted.
        per_tensor: Whether `reparametrization` has one factor per tensor
            instead of one per problem.
        pixel_permutation: Whether the entries of inputs are permuted, in the
            same way for all inputs of a problem.
        class_subset: Number of classes that a problem uses; None: all.
    """

    init_scale: tuple[float, float] = (1.0, 1.0)
    input_scale: tuple[float, float] = (1.0, 1.0)
    reparametrization: tuple[float, float] = (1.0, 1.0)
    label_permutation: bool = False
    per_tensor: bool = False
    pixel_permutation: bool = False
    class_subset: int | None = None

    def __post_init__(self):
        for field in ("init_scale", "input_scale", "reparametrization"):
            value = getattr(self, field)
            check_numbers(field, value, "(0, inf)", count=2)
            if value[0] > value[1]:
                raise ValueError(
                    f"`{field}` must be a range (low, high) with low <= high. "
                    f"Received: {field}={value}"
                )
        for field in ("label_permutation", "per_tensor", "pixel_permutation"):
            check_flag(field, getattr(self, field))
        if self.class_subset is not None:
            check_integer("class_subset", self.class_subset, 1)

    def scale(self, field, seed):
        """The problem's scalar factor for `field`. `seed`: [2] int32."""
        low, high = getattr(self, field)
        if low == high:
            return tf.constant(low, tf.float32)
        exponent = tf.random.stateless_uniform(
            (),
            fold_in_name(seed, field),
            math.log(low),
            math.log(high),
            alg="philox",
        )
        return tf.exp(exponent)

    def factors(self, seed, count):
        """The problem's reparametrization factors, one per tensor."""
        if not self.per_tensor:
            return [self.scale("reparametrization", seed)] * count
        return [
            self.scale("reparametrization", fold_in_name(seed, f"tensor {i}"))
            for i in range(count)
        ]

    @property
    def reparametrizes(self):
        """Whether models compute with multiples of their parameters."""
        return self.reparametrization != (1.0, 1.0)

    def permute(self, labels, num_classes, seed):
        """`labels` as the problem with this seed sees them."""
        if not self.label_permutation:
            return labels
        order = _permutation(num_classes, seed, "label_permutation")
        return tf.gather(order, labels)

    def view(self, seed, num_classes, pixels):
        """How the problem with this seed sees the data, for `batches.see`.

        Args:
            seed: [2] int32.
            num_classes: Number of classes, or None.
            pixels: Number of entries per input.

        Returns:
            Dict with "scale" (), the factor of inputs. With classes also
            "labels" [num_classes], the new number of each class. If they vary,
            also "pixels" [pixels], the order of an input's entries, and
            "classes" [class_subset], the classes that the problem uses.
        """
        view = {"scale": self.scale("input_scale", seed)}
        if num_classes is not None:
            classes = tf.range(num_classes)
            view["labels"] = self.permute(classes, num_classes, seed)
        if self.pixel_permutation:
            view["pixels"] = _permutation(pixels, seed, "pixel_permutation")
        if self.class_subset is not None:
            order = _permutation(num_classes, seed, "class_subset")
            view["classes"] = order[: self.class_subset]
        return view


def _permutation(size, seed, name):
    """[size] int32: a random order, for one named use of a seed."""
    keys = tf.random.stateless_uniform(
        (size,), fold_in_name(seed, name), alg="philox"
    )
    return tf.argsort(keys)


def fold_in_name(seed, name):
    """[2] int32: an independent seed for one named use of `seed`."""
    return tf.random.experimental.stateless_fold_in(seed, name_code(name))


def name_code(name):
    """The number to fold into a seed for one named use of it."""
    return zlib.crc32(name.encode()) % 2**31

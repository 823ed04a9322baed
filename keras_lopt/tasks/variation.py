"""Dynamic variation: what differs between the problems of one task.

All of it is sampled per problem inside the compiled program, so that one
program serves a whole distribution of problems.
"""

import dataclasses
import math
import zlib

import tensorflow as tf

from keras_lopt.checks import check_numbers


@dataclasses.dataclass(frozen=True)
class Variation:
    """Which properties of a problem vary; the default is none.

    Args:
        init_scale: Initial trainable values are multiplied by a log-uniform
            factor in this range, one a problem.
        input_scale: Inputs are multiplied by a log-uniform factor.
        reparametrization: The model computes with `factor * params` and starts
            from `params / factor`: the same function, other gradients. The
            augmentation with the largest effect in Celo2.
        label_permutation: Class numbers are permuted.
    """

    init_scale: tuple[float, float] = (1.0, 1.0)
    input_scale: tuple[float, float] = (1.0, 1.0)
    reparametrization: tuple[float, float] = (1.0, 1.0)
    label_permutation: bool = False

    def __post_init__(self):
        for field in ("init_scale", "input_scale", "reparametrization"):
            value = getattr(self, field)
            check_numbers(field, value, "(0, inf)", count=2)
            if value[0] > value[1]:
                raise ValueError(
                    f"`{field}` must be a range (low, high) with low <= high. "
                    f"Received: {field}={value}"
                )
        if not isinstance(self.label_permutation, bool):
            raise ValueError(
                "`label_permutation` must be True or False. "
                f"Received: label_permutation={self.label_permutation!r}"
            )

    def scale(self, field, seed):
        """The scalar factor `field` of the problem with this seed."""
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

    def permute(self, labels, num_classes, seed):
        """Labels of the problem with this seed."""
        if not self.label_permutation:
            return labels
        keys = tf.random.stateless_uniform(
            (num_classes,),
            fold_in_name(seed, "label_permutation"),
            alg="philox",
        )
        return tf.gather(tf.argsort(keys), labels)


def fold_in_name(seed, name):
    """An independent seed for a named use of `seed`. [2] int32"""
    return tf.random.experimental.stateless_fold_in(seed, name_code(name))


def name_code(name):
    """The number that a named use of a seed folds in."""
    return zlib.crc32(name.encode()) % 2**31

"""Which examples each step of a problem gets, and how the problem sees them."""

import functools
import math

import numpy as np
import tensorflow as tf

from keras_lopt.tasks.data.dataset import as_seen

_fold_in = tf.random.experimental.stateless_fold_in


@functools.lru_cache(maxsize=64)
def draw_function(
    variation, num_classes, pixels, batch_size, problems, num_steps
):
    """The compiled function that chooses the examples of batches.

    Args:
        variation: A `tasks.Variation`.
        num_classes, pixels: As for `Variation.view`.
        batch_size: Examples per step.
        problems: Number of problems, q.
        num_steps: Number of steps, t.

    Returns:
        Function of seeds [q, 2], first steps [q], a split (the code of its
        name, its start, its size) and the split's `class_table`. It returns
        indices of examples [q, t, batch] and the problems' views. One function
        serves all splits.
    """

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def draw(seeds, steps, split, table):
        spec = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype),
            variation.view(seeds[0], num_classes, pixels),
        )

        def draw_problem(args):
            seed, first = args
            view = variation.view(seed, num_classes, pixels)
            place = split, table, view, num_steps, batch_size
            return _draw_problem(seed, first, *place), view

        signature = tf.int32, spec
        return tf.map_fn(
            draw_problem, (seeds, steps), fn_output_signature=signature
        )

    with tf.init_scope():  # All replicas and callers share one function.
        return draw.get_concrete_function(
            tf.TensorSpec([problems, 2], tf.int32),
            tf.TensorSpec([problems], tf.int32),
            tf.TensorSpec([3], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
        )


def _draw_problem(seed, first, split, table, view, num_steps, batch_size):
    """[num_steps, batch_size] indices of one problem's examples."""
    seed = _fold_in(seed, split[0])
    return tf.map_fn(
        lambda i: _draw_step(
            _fold_in(seed, first + i), split, table, view, batch_size
        ),
        tf.range(num_steps),
    )


def _draw_step(seed, split, table, view, batch_size):
    """[batch] indices of examples in a split."""
    _, start, size = tf.unstack(split)
    if "classes" not in view:
        return start + tf.random.stateless_uniform(
            (batch_size,), seed, 0, size, tf.int32, alg="philox"
        )
    drawn = tf.random.stateless_uniform((2, batch_size), seed, alg="philox")
    # First a class, then one of its examples: all classes are as frequent.
    kinds = view["classes"].shape[0]
    classes = tf.gather(view["classes"], _scaled(drawn[0], kinds))
    counts = tf.gather(table[:, 0], classes)
    rows = tf.gather(table, classes)  # [batch, 1 + most]
    position = _scaled(drawn[1], counts)
    return tf.gather(rows, 1 + position, axis=1, batch_dims=1)


def _scaled(uniform, count):
    """Integers in [0, count) from uniform numbers in [0, 1)."""
    scaled = tf.cast(uniform * tf.cast(count, tf.float32), tf.int32)
    return tf.minimum(scaled, count - 1)  # Products may round up to `count`.


def class_table(targets, start, num_classes):
    """Where the examples of each class are.

    Args:
        targets: [n] class numbers of a split.
        start: Index of the split's first example.
        num_classes: Number of classes.

    Returns:
        [classes, 1 + most] int32: per class, the number of its examples and
        then their indices.
    """
    counts = np.bincount(targets, minlength=num_classes)
    table = np.zeros([num_classes, 1 + counts.max()], np.int32)
    for row, count, label in zip(table, counts, range(num_classes)):
        row[0] = count
        row[1 : 1 + count] = start + np.flatnonzero(targets == label)
    return table


def see(view, inputs, targets, noisy=None):
    """Examples as their problems see them.

    Args:
        view: From `Variation.view`, with a leading axis q of problems.
        inputs, targets: Nests of tensors [q, ..., *example].
        noisy: [q, ...] indices of the examples if their labels have the
            problem's noise.

    Returns:
        Inputs and targets.
    """
    inputs, targets = as_seen((inputs, targets))
    inputs = tf.nest.map_structure(lambda x: _seen_input(x, view), inputs)
    if noisy is not None and "noise" in view:
        targets = noisy_labels(view, noisy, targets)
    if "labels" in view:
        targets = tf.gather(view["labels"], targets, axis=1, batch_dims=1)
    return inputs, targets


def noisy_labels(view, indices, labels):
    """Class numbers, a fraction of which are random ones.

    Args:
        view: As for `see`, with "noise".
        indices, labels: [q, ...] int32: which examples, and their classes.
    """
    shape = [-1] + [1] * (indices.shape.rank - 1)
    key = tf.bitcast(tf.reshape(view["noise"]["key"], shape), tf.uint32)
    fraction = tf.reshape(view["noise"]["fraction"], shape)
    first = _mixed(tf.bitwise.bitwise_xor(tf.cast(indices, tf.uint32), key))
    kinds = (view["classes"] if "classes" in view else view["labels"]).shape[1]
    drawn = _scaled(_uniform(_mixed(first)), kinds)
    if "classes" in view:
        flat = tf.reshape(drawn, [drawn.shape[0], -1])
        flat = tf.gather(view["classes"], flat, axis=1, batch_dims=1)
        drawn = tf.reshape(flat, drawn.shape)
    return tf.where(_uniform(first) < fraction, drawn, labels)


def _uniform(bits):
    """Numbers in [0, 1) from uint32 bits: the 24 that float32 holds."""
    bits = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
    return tf.cast(bits, tf.float32) / 2.0**24


def _mixed(bits):
    """uint32 bits, mixed so that all depend on all (MurmurHash3)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        shifted = tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32))
        bits = tf.bitwise.bitwise_xor(bits, shifted)
        bits *= tf.constant(factor, tf.uint32)
    return bits


def _seen_input(inputs, view):
    if not inputs.dtype.is_floating:
        return inputs
    if "pixels" in view:
        flat = tf.reshape(
            inputs, [inputs.shape[0], -1, view["pixels"].shape[1]]
        )
        flat = tf.gather(flat, view["pixels"], axis=2, batch_dims=1)
        inputs = tf.reshape(flat, inputs.shape)
    scales = tf.reshape(view["scale"], [-1] + [1] * (inputs.shape.rank - 1))
    inputs = inputs * scales
    if "projection" in view:
        inputs = _projected(inputs, view["projection"])
    return inputs


def _projected(inputs, projection):
    """[q, ..., features] from inputs [q, ..., *example]."""
    count, pixels, features = projection.shape
    flat = tf.reshape(inputs, [count, -1, pixels])
    axes = inputs.shape.as_list()
    while math.prod(axes) > count * flat.shape[1]:
        axes.pop()  # Those of an example.
    return tf.reshape(tf.matmul(flat, projection), [*axes, features])

"""Which examples every step of a problem gets, and how it sees them."""

import functools

import tensorflow as tf


@functools.lru_cache(maxsize=64)
def draw_function(variation, num_classes, batch_size, problems, num_steps):
    """Compiled: what a task gathers its batches with, for any split.

    Args:
        variation: A `tasks.Variation`.
        num_classes: Number of classes of the data.
        batch_size: Examples a step.
        problems, num_steps: q and t.

    Returns:
        Function from seeds [q, 2], first steps [q] and a split, as the code of
        its name, start and size [3], to indices [q, t, batch], label tables
        [q, classes] and input scales [q].
    """
    fold_in = tf.random.experimental.stateless_fold_in

    def draw_step(seed, step, split):
        _, start, size = tf.unstack(split)
        seed = fold_in(seed, step)
        return start + tf.random.stateless_uniform(
            (batch_size,), seed, 0, size, tf.int32, alg="philox"
        )

    def draw_problem(seed, first, split):
        data_seed = fold_in(seed, split[0])
        indices = tf.map_fn(
            lambda i: draw_step(data_seed, first + i, split),
            tf.range(num_steps),
        )
        classes = tf.range(num_classes)
        labels = variation.permute(classes, num_classes, seed)
        return indices, labels, variation.scale("input_scale", seed)

    @functools.partial(tf.function, jit_compile=True)
    def draw(seeds, steps, split):
        return tf.map_fn(
            lambda args: draw_problem(*args, split),
            (seeds, steps),
            fn_output_signature=(tf.int32, tf.int32, tf.float32),
        )

    with tf.init_scope():  # One function for all replicas and callers.
        return draw.get_concrete_function(
            tf.TensorSpec([problems, 2], tf.int32),
            tf.TensorSpec([problems], tf.int32),
            tf.TensorSpec([3], tf.int32),
        )

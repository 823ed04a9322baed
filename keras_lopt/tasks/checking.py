"""What a task must be like, before it is used."""

import tensorflow as tf

from keras_lopt.tasks.losses import loss_name


def check_variation(task):
    """Raises ValueError where the data have not what varies."""
    classes = task.dataset.num_classes
    subset = task.variation.class_subset
    if subset is not None and subset > (classes or 0):
        raise ValueError(
            f"`class_subset` must be <= {classes}, the number of classes "
            f"of dataset {task.dataset.name!r}. "
            f"Received: class_subset={subset}"
        )


def check_loss(task):
    """Raises ValueError unless the loss of a batch is one number."""

    def first_loss(seed):
        batch = task.draw_batches(seed[None], seed[:1], 1, "train")
        batch = tf.nest.map_structure(lambda b: b[0, 0], batch)
        params, non_trainable = task.begin(seed)
        outputs, _, added = task.call(
            params, non_trainable, batch[0], seed, training=True
        )
        return task.loss_fn(batch[1], outputs), added

    # Traced, not run: shapes are all that is asked for.
    loss, added = (
        tf.function(first_loss, autograph=False)
        .get_concrete_function(tf.TensorSpec([2], tf.int32))
        .structured_outputs
    )
    if task.loss is None and not added:
        raise ValueError(
            "`loss` must be a Keras loss, its name, or a function of targets "
            "and outputs, unless the model adds its losses (`add_loss`). "
            f"Received: loss=None, for task {task.name!r}, which adds none"
        )
    if loss.shape.rank != 0:
        raise ValueError(
            f"`loss` of task {task.name!r} must be a scalar for a batch. "
            f"Received: loss={loss_name(task.loss_fn)}, of shape "
            f"{tuple(loss.shape)}; use a keras.losses.Loss with a reduction"
        )

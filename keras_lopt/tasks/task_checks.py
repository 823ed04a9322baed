"""Checks of a new task: what an inner run could not train is refused here."""

import keras
import numpy as np
import tensorflow as tf

from keras_lopt.tasks.losses import JointLoss, loss_name


def check_variation(task):
    """Raises ValueError if the dataset lacks what the variation needs."""
    classes = task.dataset.num_classes
    subset = task.variation.class_subset
    if subset is not None and subset > (classes or 0):
        raise ValueError(
            f"`class_subset` must be <= {classes}, the number of classes "
            f"of dataset {task.dataset.name!r}. "
            f"Received: class_subset={subset}"
        )
    if task.variation.has_noise and classes is None:
        raise ValueError(
            "`label_noise` must be (0.0, 0.0) for a dataset without classes. "
            f"Received: label_noise={task.variation.label_noise}, dataset "
            f"{task.dataset.name!r}"
        )
    _check_projection(task)


def _check_projection(task):
    features = task.variation.projection
    if features is None:
        return
    inputs, shape = task.dataset.inputs, getattr(task.model, "input_shape", ())
    has_numbers = isinstance(inputs, np.ndarray) and inputs.dtype != np.int32
    if not has_numbers or task.num_pixels < 2 or shape != (None, features):
        raise ValueError(
            "`projection` must be the number of features of the task's model, "
            "for examples of two or more numbers; the families `mlp` and "
            f"`tabular` make such models. Received: projection={features}, "
            f"task {task.name!r} whose model has inputs of shape {shape}"
        )


def check_loss(task):
    """Raises ValueError unless an inner run can train with the task's loss.

    The loss of a batch must be one scalar, all outputs must have static shapes,
    and layers must keep their state in weights.
    """

    def first_loss(seed):
        batch = task.draw_batches(seed[None], seed[:1], 1, "train")
        batch = tf.nest.map_structure(lambda b: b[0, 0], batch)
        params, non_trainable = task.begin(seed)
        outputs, _, added = task.call(
            params, non_trainable, batch[0], seed, training=True
        )
        check_classes(task, outputs)
        return task.loss_fn(batch[1], outputs), added, outputs

    # Traced, not run: the shapes are enough.
    traced = tf.function(first_loss, autograph=False).get_concrete_function(
        tf.TensorSpec([2], tf.int32)
    )
    loss, added, outputs = traced.structured_outputs
    _check_carried(task, traced.graph)
    _check_static(task, outputs)
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


def check_classes(task, outputs):
    """Raises ValueError if there are class numbers without an output."""
    found = [(task.loss_fn, task.dataset.targets, outputs)]
    if isinstance(task.loss_fn, JointLoss):
        found = list(task.loss_fn.parts(task.dataset.targets, outputs))
    for loss, targets, logits in found:
        if "sparse_categorical_crossentropy" not in loss_name(loss):
            continue
        numbers = np.asarray(targets)
        numbers = numbers[numbers != getattr(loss, "ignore_class", None)]
        low, high = int(numbers.min()), int(numbers.max())
        if low < 0 or high >= logits.shape[-1]:
            raise ValueError(
                f"`targets` must be class numbers in [0, {logits.shape[-1]}), "
                f"because task {task.name!r} has {logits.shape[-1]} outputs. "
                f"Received: targets in [{low}, {high}]"
            )


def _check_static(task, outputs):
    """Raises ValueError if an output's shape depends on the data."""
    for output in tf.nest.flatten(outputs):
        if not output.shape.is_fully_defined():
            raise ValueError(
                f"The model of task {task.name!r} must have outputs of static "
                "shapes, for XLA. Received: an output of shape "
                f"{output.shape}; set entries to zero instead of removing them"
            )


def _check_carried(task, graph):
    """Raises ValueError if a layer has state that is not a weight."""
    for held, _ in graph.captures:
        if held.dtype != tf.resource:
            continue
        layer, state = _holder(task.model, held)
        raise ValueError(
            f"Layer {layer.name!r} must keep its state in weights from "
            "`add_weight`, so that every inner run starts with its own. "
            f"Received: {state}"
        )


def _holder(model, held):
    """The layer that holds a resource, and what holds it there."""
    for layer in model._flatten_layers():
        for attribute, value in vars(layer).items():
            if isinstance(value, keras.Variable):
                value = value.value
            if getattr(value, "handle", None) is held:
                return layer, f"`self.{attribute}`, a {type(value).__name__}"
    return model, f"a resource, {held.name!r}"

"""Training a learned optimizer as a task: how well a rule trains rules."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_lopt import rules
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.data.dataset import Dataset
from keras_lopt.tasks.losses import MeanOutput
from keras_lopt.tasks.normalizers import chance
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register_family
from keras_lopt.tasks.task import Task

#: Number of random thetas from which initial values are drawn, leaf by leaf.
BANK = 32


def draw(sampler):
    """Draws a configuration of `lopt`."""
    return {
        "rule": sampler.choice(("fused", "mlp")),
        "rule_hidden": sampler.choice((2, 4, 8)),
        "hidden": sampler.log_int(4, 16),
        "steps": sampler.integer(2, 8),
        "data": sampler.choice(("digits4", "wine", "breast_cancer")),
        "inner_batch": sampler.choice((4, 8)),
        "variation": {},
    }


@register_family(draw)
def lopt(
    rule="fused",
    rule_hidden=2,
    hidden=4,
    steps=3,
    data="wine",
    inner_batch=8,
    variation=None,
):
    """The theta of a rule, by the mean loss of the classifier that it trains.

    At every step a new classifier is trained, by an unrolled run of the rule.

    Args:
        rule: Name of a learned rule that has `hidden_units`.
        rule_hidden: Number of hidden units of the rule.
        hidden: Width of the classifier, an MLP with one hidden layer.
        steps: Number of steps for which the rule trains the classifier.
        data: Name of a dataset with classes, as for `datasets.get`.
        inner_batch: Examples per step of the classifier.
        variation: A `Variation`, or a dict of its arguments.
    """
    classes = datasets.get(data).num_classes
    labeled = _labeled(datasets.get(data))
    batch_size = steps * inner_batch
    config = rule, rule_hidden, hidden, steps, inner_batch

    def model_fn():
        made = rules.get(rule, hidden_units=rule_hidden, hidden_layers=1)
        layer = InnerTraining(made, hidden, classes, steps)
        return _model(layer, labeled.inputs[0].shape[1:], batch_size)

    return Task(
        f"lopt_{labeled.name}_{common.digest(config)}",
        model_fn,
        MeanOutput(),
        labeled,
        batch_size,
        common.as_variation(variation),
        normalizer=chance(classes),
    )


def _model(layer, shape, batch_size):
    """The model of a layer that takes features and class numbers."""
    inputs = (
        keras.Input(shape, batch_size=batch_size),
        keras.Input((), batch_size=batch_size, dtype="int32"),
    )
    return keras.Model(inputs, layer(inputs))


@functools.cache
def _labeled(dataset):
    """The dataset with flat inputs and its class numbers as a second input."""
    return Dataset(
        f"labelled_{dataset.name}",  # In the names of tasks: keep it.
        (dataset.inputs.reshape(dataset.size, -1), dataset.targets),
        np.zeros([dataset.size, 1], np.float32),
        None,
        dataset.splits,
    )


class FromBank(keras.initializers.Initializer):
    """Draws one of several values uniformly.

    Args:
        values: [count, *shape].
        seed: As for Keras's random initializers.
    """

    def __init__(self, values, seed=None):
        self.values, self.seed = values, seed

    def __call__(self, shape, dtype=None):
        index = keras.random.randint((), 0, len(self.values), seed=self.seed)
        values = ops.convert_to_tensor(self.values, dtype=dtype)
        return ops.reshape(ops.take(values, index, axis=0), shape)

    def get_config(self):
        return {"values": np.asarray(self.values).tolist(), "seed": self.seed}


class InnerTraining(keras.layers.Layer):
    """The mean loss of a classifier that is trained by a rule.

    The layer's weights are the rule's theta.

    Args:
        rule: A `rules.Rule`.
        hidden: Width of the classifier.
        classes: Number of classes.
        steps: Number of steps for which the classifier is trained.
    """

    def __init__(self, rule, hidden, classes, steps, **kwargs):
        super().__init__(**kwargs)
        self.rule, self.hidden = rule, hidden
        self.classes, self.steps = classes, steps
        self.generator = keras.random.SeedGenerator(0)
        thetas = [rule.init_theta(i) for i in range(BANK)]
        self.leaves = sorted(rule.theta_shapes())
        for leaf in self.leaves:
            bank = np.stack([theta[leaf] for theta in thetas])
            setattr(self, f"{leaf}_initializer", FromBank(bank))

    def build(self, input_shape):
        self.theta = [
            self.add_weight(
                name=leaf,
                shape=tuple(self.rule.theta_shapes()[leaf]),
                initializer=getattr(self, f"{leaf}_initializer"),
            )
            for leaf in self.leaves
        ]

    def call(self, inputs):
        features, labels = inputs
        theta = {
            leaf: ops.convert_to_tensor(value)
            for leaf, value in zip(self.leaves, self.theta)
        }
        size = features.shape[1]
        params = [
            self._normal((size, self.hidden)),
            tf.zeros([self.hidden]),
            self._normal((self.hidden, self.classes)),
            tf.zeros([self.classes]),
        ]
        slots = self.rule.init_slots(theta, params)
        losses = []
        for i, (x, y) in enumerate(
            zip(ops.split(features, self.steps), ops.split(labels, self.steps))
        ):
            params, slots, loss = self._step(theta, params, slots, x, y, i)
            losses.append(loss)
        mean = sum(losses) / self.steps
        return mean + tf.zeros([features.shape[0], 1])

    def _normal(self, shape):
        deviation = 1.0 / math.sqrt(shape[0])
        return keras.random.normal(shape, stddev=deviation, seed=self.generator)

    def _step(self, theta, params, slots, x, y, number):
        with tf.GradientTape() as tape:
            tape.watch(params)
            w0, b0, w1, b1 = params
            logits = tf.matmul(tf.tanh(tf.matmul(x, w0) + b0), w1) + b1
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            loss = tf.reduce_mean(losses)
        grads = tape.gradient(loss, params)
        signals = {"step": tf.constant(number), "train_loss": loss}
        deltas, slots = self.rule.update(theta, grads, params, slots, signals)
        params = [p + d for p, d in zip(params, deltas)]
        return params, slots, loss

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs[0].shape[0], 1), dtype="float32")

"""A task: a Keras model, a loss, data and a batch size, as pure functions."""

import functools
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_lopt.checks import check_integer, check_number
from keras_lopt.tasks import cost, initialization, task_checks
from keras_lopt.tasks.augmentation.variation import Variation, name_code
from keras_lopt.tasks.data import batches
from keras_lopt.tasks.data.dataset import Dataset
from keras_lopt.tasks.losses import loss_function, loss_name
from keras_lopt.tasks.normalizers import FromStart, Normalizer, in_nats


class Task:
    """What a rule is applied to: one structure, many problems.

    All methods except the constructor are pure functions of tensors and can
    run inside a compiled program.

    Args:
        name: Name of the task, for reports.
        model_fn: Function without arguments that returns a built Keras model.
            The values of its weights are never used: every problem starts
            from fresh ones.
        loss: A Keras loss or its name; `loss(targets, outputs)` must be a
            scalar. For a model with several outputs, a dict, list or tuple of
            losses. None for a model that adds all of its loss itself. Losses
            that layers add and regularizers always count as well.
        dataset: A `tasks.Dataset`.
        batch_size: Examples per step, drawn with replacement.
        variation: A `tasks.Variation`: what differs between problems.
        max_loss: Upper bound of the loss; a non-finite loss becomes this.
            Default: twice the loss of guessing, 2 log(num_classes) nats.
        normalizer: A `tasks.Normalizer` or `tasks.FromStart` instead of
            `max_loss`. Default for targets that are not class numbers:
            `FromStart()`.

    Attributes:
        loss: The loss as given, for `compile`.
        loss_fn: Function of targets and outputs.
    """

    def __init__(
        self,
        name: str,
        model_fn: Callable[[], keras.Model],
        loss: object,
        dataset: Dataset,
        batch_size: int,
        variation: Variation | None = None,
        max_loss: float | None = None,
        normalizer: Normalizer | FromStart | None = None,
    ):
        train_size = dataset.range("train")[1]
        check_integer("batch_size", batch_size, 1)
        if batch_size > train_size:
            raise ValueError(
                f"`batch_size` must be <= {train_size}, the size of the "
                f"training split. Received: batch_size={batch_size}"
            )
        self.name = name
        self.model_fn = model_fn
        with initialization.recorded() as known:
            self.model = model_fn()
        self.loss = loss
        self.loss_fn = loss_function(loss)
        self.dataset = dataset
        self.batch_size = batch_size
        self.variation = Variation() if variation is None else variation
        self._initializers = initialization.initializers(self.model, known)
        self._tables = {}
        task_checks.check_variation(self)
        task_checks.check_loss(self)
        self.normalizer = self._normalizer(max_loss, normalizer)
        self.max_loss = self.normalizer.ceiling

    def _normalizer(self, max_loss, normalizer):
        """The `Normalizer` by the constructor's arguments."""
        if max_loss is not None:
            check_number("max_loss", max_loss, "(0, inf)")
            return Normalizer(ceiling=max_loss)
        if normalizer is None and self.dataset.num_classes is not None:
            return in_nats(self.dataset.num_classes)
        return (normalizer or FromStart()).resolve(self)

    @property
    def num_params(self):
        """Number of trainable parameters of the model."""
        return sum(math.prod(v.shape) for v in self.model.trainable_variables)

    @functools.cached_property
    def vectorizes(self):
        """Whether the steps of several problems can be vectorized.

        TensorFlow cannot vectorize the gradients of loops. Recurrent layers
        have loops unless they are unrolled.
        """
        return not cost.has_loops(cost.loss_graph(self))

    def begin(self, seed):
        """Fresh initial values for a problem.

        Args:
            seed: [2] int32, the problem's seed.

        Returns:
            Two lists, of trainable and of non-trainable values, in the order
            of the model's variables.
        """
        variables = self.model.trainable_variables
        init_scale = self.variation.scale("init_scale", seed)
        shapes = [tuple(v.shape) for v in variables]
        factors = self.variation.factors(seed, shapes)
        params = [
            self._fresh_value(v, seed) * tf.cast(init_scale / factor, v.dtype)
            for v, factor in zip(variables, factors)
        ]
        non_trainable = [
            self._fresh_value(v, seed)
            for v in self.model.non_trainable_variables
        ]
        return params, non_trainable

    def _fresh_value(self, variable, seed):
        position = [v is variable for v in self.model.variables].index(True)
        seed = tf.random.experimental.stateless_fold_in(seed, position)
        if variable.name == initialization.SEED_STATE:
            return tf.cast(seed, variable.dtype)
        initializer = self._initializers[id(variable)]
        return initialization.fresh_value(initializer, variable, seed)

    def draw_batches(self, seeds, steps, num_steps, split):
        """The batches of several problems for their next steps.

        A batch depends only on the problem and the step, not on how a run is
        cut into calls.

        Args:
            seeds: [q, 2] int32, the problems' seeds.
            steps: [q] int32, the first step of each problem.
            num_steps: Number of steps t, a Python integer.
            split: Name of the dataset's split to draw from.

        Returns:
            (inputs, targets) of shapes [q, t, batch, ...].
        """
        draw = batches.draw_function(
            self.variation,
            self.dataset.num_classes,
            self.num_pixels,
            self.batch_size,
            problems=seeds.shape[0],
            num_steps=num_steps,
        )
        place = [name_code(split), *self.dataset.range(split)]
        table = self._class_table(split)
        indices, view = draw(seeds, steps, tf.constant(place), table)
        # Gathered outside XLA: on CPU its gather costs as much as the model.
        drawn = tf.nest.map_structure(
            lambda data: tf.gather(data, indices), self.dataset.tensors
        )
        noisy = indices if split == "train" else None
        return batches.see(view, *drawn, noisy)

    @property
    def num_pixels(self):
        """Number of entries per input."""
        inputs = tf.nest.flatten(self.dataset.inputs)
        return math.prod(inputs[0].shape[1:])

    def _class_table(self, split):
        """`batches.class_table` of a split; empty unless classes vary."""
        if self.variation.class_subset is None:
            return tf.zeros([0, 0], tf.int32)
        if split not in self._tables:
            start, _ = self.dataset.range(split)
            targets = self.dataset.arrays(split)[1]
            table = batches.class_table(
                targets, start, self.dataset.num_classes
            )
            with tf.init_scope():
                self._tables[split] = tf.constant(table)
        return self._tables[split]

    def train_loss(self, params, non_trainable, batch, seed):
        """The loss that an inner step reduces.

        Args:
            params: List of trainable values.
            non_trainable: List of non-trainable values.
            batch: (inputs, targets) of one step.
            seed: [2] int32, the problem's seed.

        Returns:
            The scalar loss and the new non-trainable values.
        """
        outputs, non_trainable, added = self.call(
            params, non_trainable, batch[0], seed, training=True
        )
        return self._total(batch[1], outputs, added), non_trainable

    def eval_loss(self, params, non_trainable, batch, seed):
        """The scalar loss with the model in inference mode."""
        outputs, _, added = self.call(
            params, non_trainable, batch[0], seed, training=False
        )
        return self._total(batch[1], outputs, added)

    def _total(self, targets, outputs, added):
        """The loss plus the losses that layers add, as in `fit`."""
        loss = self.loss_fn(targets, outputs)
        for part in added:
            loss += tf.reduce_sum(tf.cast(part, loss.dtype))
        return tf.cast(loss, tf.float32)

    def call(self, params, non_trainable, inputs, seed, training):
        """Outputs, new non-trainable values and added losses of the model."""
        shapes = [tuple(p.shape) for p in params]
        factors = self.variation.factors(seed, shapes)
        return self.model.stateless_call(
            [p * tf.cast(f, p.dtype) for p, f in zip(params, factors)],
            non_trainable,
            inputs,
            training=training,
            return_losses=True,
        )

    def bounded(self, loss):
        """The normalized loss in [0, max_loss]; max_loss if not finite."""
        return self.normalizer(loss)

    def describe(self):
        """Everything that identifies this task, as JSON types."""
        return {
            "name": self.name,
            "dataset": self.dataset.name,
            "loss": loss_name(self.loss_fn),
            "batch_size": self.batch_size,
            "max_loss": self.max_loss,
            "normalizer": vars(self.normalizer),
            "params": [list(v.shape) for v in self.model.trainable_variables],
            "variation": self.variation.describe(),
        }

"""A task: a Keras model, a loss, data and a batch size, as pure functions."""

import functools
import math

import tensorflow as tf

from keras_lopt.checks import check_integer, check_number
from keras_lopt.tasks import batches, checking, cost, initialization
from keras_lopt.tasks.losses import loss_function, loss_name
from keras_lopt.tasks.normalizers import FromStart, Normalizer
from keras_lopt.tasks.variation import Variation, name_code


class Task:
    """What a rule is applied to: one structure, many problems.

    All methods but the constructor are pure functions of tensors and can run
    inside a compiled program.

    Args:
        name: Of the task, for reports.
        model_fn: Function without arguments that returns a built Keras model.
            Its weights' values are never used: every problem starts from
            fresh ones.
        loss: A Keras loss or its name; `loss(targets, outputs)` must be a
            scalar. A dict, list or tuple of losses for a model of several
            outputs; None for a model that adds its losses itself. What the
            model's layers add and its regularizers count as well.
        dataset: A `tasks.Dataset`.
        batch_size: Examples a step, drawn with replacement.
        variation: A `tasks.Variation`: what differs between problems.
        max_loss: Ceiling of the normalised loss; a non-finite loss becomes
            this. Default: twice the loss of guessing, 2 log(num_classes) nats.
        normalizer: A `tasks.Normalizer` or `tasks.FromStart` in place of
            `max_loss`. Default where targets are no class numbers:
            `FromStart()`.

    Attributes:
        loss: As it was given: what `compile` takes.
        loss_fn: Function of targets and outputs.
    """

    def __init__(
        self,
        name,
        model_fn,
        loss,
        dataset,
        batch_size,
        variation=None,
        max_loss=None,
        normalizer=None,
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
        with initialization.recorded() as said:
            self.model = model_fn()
        self.loss = loss
        self.loss_fn = loss_function(loss)
        self.dataset = dataset
        self.batch_size = batch_size
        self.variation = Variation() if variation is None else variation
        self._initializers = initialization.initializers(self.model, said)
        self._tables = {}
        checking.check_variation(self)
        checking.check_loss(self)
        self.normalizer = self._normalizer(max_loss, normalizer)
        self.max_loss = self.normalizer.ceiling

    def _normalizer(self, max_loss, normalizer):
        """What is said of the scale of losses, or the default."""
        if max_loss is not None:
            check_number("max_loss", max_loss, "(0, inf)")
            return Normalizer(ceiling=max_loss)
        if normalizer is None and self.dataset.num_classes is not None:
            ceiling = 2.0 * math.log(max(2, self.dataset.num_classes))
            return Normalizer(ceiling=ceiling)
        return (normalizer or FromStart()).resolve(self)

    @property
    def num_params(self):
        """Number of trainable entries of the model."""
        return sum(math.prod(v.shape) for v in self.model.trainable_variables)

    @functools.cached_property
    def vectorizes(self):
        """Whether steps of several problems can be taken at once.

        TensorFlow vectorizes no gradients of loops, which recurrent layers
        have unless they are unrolled.
        """
        return not cost.has_loops(cost.loss_graph(self))

    def begin(self, seed):
        """Fresh values for a problem.

        Args:
            seed: [2] int32, the problem's.

        Returns:
            Lists of trainable and of non-trainable values, as the model's.
        """
        variables = self.model.trainable_variables
        init_scale = self.variation.scale("init_scale", seed)
        factors = self.variation.factors(seed, len(variables))
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

        They depend on the problem and the step alone, not on how a run is cut
        into calls.

        Args:
            seeds: [q, 2] int32, the problems'.
            steps: [q] int32, the first step of each.
            num_steps: Python integer, t.
            split: Name of the dataset's split to draw from.

        Returns:
            (inputs, targets) of shapes [q, t, batch, ...].
        """
        draw = batches.draw_function(
            self.variation,
            self.dataset.num_classes,
            self.num_pixels,
            self.batch_size,
            *(seeds.shape[0], num_steps),
        )
        place = [name_code(split), *self.dataset.range(split)]
        table = self._class_table(split)
        indices, view = draw(seeds, steps, tf.constant(place), table)
        # Gathered outside XLA, whose gather on CPU costs as much as the model.
        drawn = tf.nest.map_structure(
            lambda data: tf.gather(data, indices), self.dataset.tensors
        )
        return batches.see(view, *drawn)

    @property
    def num_pixels(self):
        """Number of entries of an input."""
        inputs = tf.nest.flatten(self.dataset.inputs)
        return math.prod(inputs[0].shape[1:])

    def _class_table(self, split):
        """Of `batches.class_table`; empty where classes are not chosen."""
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
        """Loss that an inner step descends.

        Args:
            params: List of trainable values.
            non_trainable: List of non-trainable values.
            batch: (inputs, targets) of one step.
            seed: [2] int32, the problem's.

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
        """The loss with what layers add to it, as `fit` has it."""
        loss = self.loss_fn(targets, outputs)
        for part in added:
            loss += tf.reduce_sum(tf.cast(part, loss.dtype))
        return tf.cast(loss, tf.float32)

    def call(self, params, non_trainable, inputs, seed, training):
        """Outputs, new non-trainable values and added losses of the model."""
        factors = self.variation.factors(seed, len(params))
        return self.model.stateless_call(
            [p * tf.cast(f, p.dtype) for p, f in zip(params, factors)],
            non_trainable,
            inputs,
            training=training,
            return_losses=True,
        )

    def bounded(self, loss):
        """The loss, normalised, in [0, max_loss]; non-finite is max_loss."""
        return self.normalizer(loss)

    def describe(self):
        """What makes this task this task, as JSON types."""
        return {
            "name": self.name,
            "dataset": self.dataset.name,
            "loss": loss_name(self.loss_fn),
            "batch_size": self.batch_size,
            "max_loss": self.max_loss,
            "normalizer": vars(self.normalizer),
            "params": [list(v.shape) for v in self.model.trainable_variables],
            "variation": vars(self.variation),
        }

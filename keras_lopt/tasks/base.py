"""A task: a Keras model, a loss, data and a batch size, as pure functions."""

import math

import keras
import tensorflow as tf

from keras_lopt.checks import check_integer, check_number
from keras_lopt.tasks import batches, initialization
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
            scalar.
        dataset: A `tasks.Dataset`.
        batch_size: Examples a step, drawn with replacement.
        variation: A `tasks.Variation`: what differs between problems.
        max_loss: Ceiling of the normalised loss; a non-finite loss becomes
            this. Default: twice the loss of guessing, 2 log(num_classes) nats.
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
    ):
        train_size = dataset.range("train")[1]
        check_integer("batch_size", batch_size, 1)
        if batch_size > train_size:
            raise ValueError(
                f"`batch_size` must be <= {train_size}, the size of the "
                f"training split. Received: batch_size={batch_size}"
            )
        if max_loss is None:
            max_loss = 2.0 * math.log(dataset.num_classes)
        check_number("max_loss", max_loss, "(0, inf)")
        self.name = name
        self.model_fn = model_fn
        self.model = model_fn()
        self.loss_fn = _loss_function(loss)
        self.dataset = dataset
        self.batch_size = batch_size
        self.variation = Variation() if variation is None else variation
        self.max_loss = max_loss
        self._initializers = initialization.initializers(self.model)
        # Eager tensors: captured by compiled functions, not copied into them.
        self._inputs = tf.constant(dataset.inputs)
        self._targets = tf.constant(dataset.targets)
        self._check_loss()

    def _check_loss(self):
        seed = tf.constant([0, 0])
        first = slice(0, self.batch_size)
        batch = self._inputs[first], self._targets[first]
        loss, _ = self.train_loss(*self.begin(seed), batch, seed)
        if loss.shape.rank != 0:
            raise ValueError(
                f"`loss` of task {self.name!r} must be a scalar for a batch. "
                f"Received: loss={_loss_name(self.loss_fn)}, of shape "
                f"{tuple(loss.shape)}; use a keras.losses.Loss with a reduction"
            )

    @property
    def num_params(self):
        """Number of trainable entries of the model."""
        return sum(math.prod(v.shape) for v in self.model.trainable_variables)

    def begin(self, seed):
        """Fresh values for a problem.

        Args:
            seed: [2] int32, the problem's.

        Returns:
            Lists of trainable and of non-trainable values, as the model's.
        """
        scale = self.variation.scale("init_scale", seed)
        scale /= self.variation.scale("reparametrization", seed)
        params = [
            self._fresh_value(v, seed) * tf.cast(scale, v.dtype)
            for v in self.model.trainable_variables
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
            self.batch_size,
            *(seeds.shape[0], num_steps),
        )
        place = [name_code(split), *self.dataset.range(split)]
        indices, labels, scales = draw(seeds, steps, tf.constant(place))
        # Gathered outside XLA, whose gather on CPU costs as much as the model.
        inputs = tf.gather(self._inputs, indices)
        scales = tf.reshape(scales, [-1] + [1] * (inputs.shape.rank - 1))
        targets = tf.gather(self._targets, indices)
        targets = tf.gather(labels, targets, axis=1, batch_dims=1)
        return inputs * scales, targets

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
        outputs, non_trainable = self._outputs(
            params, non_trainable, batch[0], seed, training=True
        )
        return self.loss_fn(batch[1], outputs), non_trainable

    def eval_loss(self, params, non_trainable, batch, seed):
        """The scalar loss with the model in inference mode."""
        outputs, _ = self._outputs(
            params, non_trainable, batch[0], seed, training=False
        )
        return self.loss_fn(batch[1], outputs)

    def _outputs(self, params, non_trainable, inputs, seed, training):
        factor = self.variation.scale("reparametrization", seed)
        return self.model.stateless_call(
            [p * tf.cast(factor, p.dtype) for p in params],
            non_trainable,
            inputs,
            training=training,
        )

    def bounded(self, loss):
        """The loss in [0, max_loss]; non-finite becomes max_loss."""
        loss = tf.where(tf.math.is_finite(loss), loss, self.max_loss)
        return tf.clip_by_value(loss, 0.0, self.max_loss)

    def describe(self):
        """What makes this task this task, as JSON types."""
        return {
            "name": self.name,
            "dataset": self.dataset.name,
            "loss": _loss_name(self.loss_fn),
            "batch_size": self.batch_size,
            "max_loss": self.max_loss,
            "params": [list(v.shape) for v in self.model.trainable_variables],
            "variation": vars(self.variation),
        }


def _loss_function(loss):
    """The Keras loss of this name, or the function as it is."""
    function = keras.losses.get(loss)
    if not callable(function):
        raise ValueError(
            "`loss` must be a Keras loss, its name, or a function of targets "
            f"and outputs. Received: loss={loss!r}"
        )
    return function


def _loss_name(function):
    """Name of a Keras loss, of a function, or of an object's class."""
    names = (getattr(function, n, None) for n in ("name", "__name__"))
    strings = [name for name in names if isinstance(name, str)]
    return strings[0] if strings else type(function).__name__

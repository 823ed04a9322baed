"""Training curves of a task's problems, by `compile` and `fit`."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from keras_lopt.tasks import keras_problem

#: First half of the seeds of the problems here. Training derives its seeds from
#: others, so these problems are new to every optimizer.
EVALUATION_SEED = 20_210_107


@dataclasses.dataclass(frozen=True)
class Curve:
    """What one optimizer did on one problem.

    Attributes:
        train_losses: [steps] loss of each batch, before its step.
        test_loss: Mean loss on the whole test split after the last step.
        test_accuracy: Fraction of the test split that is classified correctly;
            None if the task has no classes.
    """

    train_losses: np.ndarray
    test_loss: float
    test_accuracy: float | None = None

    @property
    def mean_train_loss(self):
        """Mean training loss of the run; not finite if one loss is not."""
        return float(np.mean(self.train_losses))


class Trainee:
    """A task's model with an optimizer, compiled once for many problems.

    Args:
        task: A `tasks.Task`.
        optimizer: A Keras optimizer.
        num_steps: Number of steps per run.
        set_rate: Function that sets the learning rate; default: that of the
            optimizer.
    """

    def __init__(self, task, optimizer, num_steps, set_rate=None):
        self.task = task
        self.model = keras_problem.problem_model(task)
        self.optimizer = optimizer
        self.num_steps = num_steps
        self._set_rate = set_rate or self._set_own_rate
        self._losses = LossCurve(num_steps)
        self._losses.follow(self.model)
        classifies = task.dataset.num_classes is not None
        self.model.compile(
            optimizer,
            task.loss,
            metrics=["accuracy"] if classifies else None,
            jit_compile=True,
            steps_per_execution=num_steps,
        )
        self.start_from(optimizer)

    def start_from(self, optimizer):
        """Makes runs begin with the state of an optimizer of the same kind.

        Args:
            optimizer: Such as a `LearnedOptimizer` with another theta: the
                next runs are as if it had been compiled instead.
        """
        optimizer.build(self.model.trainable_variables)
        self._start = [np.array(v) for v in optimizer.variables]

    def _set_own_rate(self, learning_rate):
        self.optimizer.learning_rate = learning_rate

    def train(self, number, learning_rate=None):
        """Trains problem `number` from its start.

        Args:
            number: Integer. Equal numbers are the same problem, for every
                optimizer.
            learning_rate: Learning rate to set; default: the optimizer's own.

        Returns:
            A `Curve`.
        """
        seed = tf.constant([EVALUATION_SEED, number])
        for variable, value in zip(
            self.optimizer.variables, self._start, strict=True
        ):
            variable.assign(value)
        if learning_rate is not None:
            self._set_rate(learning_rate)
        keras_problem.load_problem(self.task, self.model, seed)
        inputs, targets = keras_problem.problem_batches(
            self.task, seed, self.num_steps
        )
        self._losses.reset()
        self.model.fit(
            inputs,
            targets,
            batch_size=self.task.batch_size,
            shuffle=False,
            verbose=0,
        )
        losses = np.array(self._losses.values)
        test = self._test_examples(seed)
        size = len(tf.nest.flatten(test[1])[0])
        result = self.model.evaluate(
            *test,
            batch_size=self._fixed_batch or size,
            verbose=0,
            return_dict=True,
        )
        return Curve(losses, result["loss"], result.get("accuracy"))

    @property
    def _fixed_batch(self):
        """The only batch size that the model accepts, or None."""
        model = self.task.model
        while hasattr(model, "inner"):  # The task is augmented.
            model = model.inner
        inputs = tf.nest.flatten(getattr(model, "inputs", None) or [])
        return inputs[0].shape[0] if inputs else None

    def _test_examples(self, seed):
        """The whole test split; or about as many drawn in fixed batches."""
        if self._fixed_batch is None:
            return keras_problem.problem_split(self.task, seed, "test")
        size = self.task.dataset.range("test")[1]
        count = -(-size // self._fixed_batch)
        return keras_problem.problem_batches(self.task, seed, count, "test")


class LossCurve:
    """Remembers the loss of every training batch of a `fit`.

    Keras's own logs are means, and only once per `steps_per_execution`.

    Args:
        num_steps: Number of batches to remember.
    """

    def __init__(self, num_steps):
        self.values = tf.Variable(tf.zeros([num_steps]))
        self.count = tf.Variable(0)

    def reset(self):
        """Forgets all losses; call it before `fit`."""
        self.count.assign(0)

    def follow(self, model):
        """Records every loss of `model` that `fit` computes a gradient of."""
        compute_loss = model.compute_loss

        @functools.wraps(compute_loss)
        def recorded(*args, training=True, **kwargs):
            loss = compute_loss(*args, training=training, **kwargs)
            if training:
                self.values.scatter_nd_update([[self.count]], [loss])
                self.count.assign_add(1)
            return loss

        model.compute_loss = recorded

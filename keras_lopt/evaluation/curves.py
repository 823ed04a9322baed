"""Training curves of a task's problems, by `compile` and `fit`."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_lopt.tasks import keras_problem

#: First half of the seeds of evaluation's problems. Training folds its seeds
#: from others, so these problems are new to every optimizer.
EVALUATION_SEED = 20_210_107


@dataclasses.dataclass(frozen=True)
class Curve:
    """One training run.

    Attributes:
        train_losses: [steps] loss of each batch, before its step.
        test_loss: Mean loss of the whole test split after the last step.
        test_accuracy: Fraction of it that is classified correctly.
    """

    train_losses: np.ndarray
    test_loss: float
    test_accuracy: float

    @property
    def mean_train_loss(self):
        """Mean over the run; not finite where any loss is not."""
        return float(np.mean(self.train_losses))


class Trainee:
    """A task's model with an optimizer, compiled once for many problems.

    Args:
        task: A `tasks.Task` of classification.
        optimizer: A Keras optimizer.
        num_steps: Length of the runs.
    """

    def __init__(self, task, optimizer, num_steps):
        self.task = task
        self.model = keras_problem.problem_model(task)
        self.optimizer = optimizer
        self.num_steps = num_steps
        self._losses = LossCurve(task.loss_fn, num_steps)
        self.model.compile(
            optimizer,
            task.loss_fn,
            metrics=["accuracy", self._losses],
            jit_compile=True,
            steps_per_execution=num_steps,
        )
        optimizer.build(self.model.trainable_variables)
        self._start = [np.array(v) for v in optimizer.variables]

    def train(self, number, learning_rate=None):
        """Trains problem `number` from its start.

        Args:
            number: Integer; the same problem for every optimizer.
            learning_rate: Of the optimizer; default: its own.

        Returns:
            A `Curve`.
        """
        seed = tf.constant([EVALUATION_SEED, number])
        for variable, value in zip(self.optimizer.variables, self._start):
            variable.assign(value)
        if learning_rate is not None:
            self.optimizer.learning_rate = learning_rate
        keras_problem.load_problem(self.task, self.model, seed)
        inputs, targets = keras_problem.problem_batches(
            self.task, seed, self.num_steps
        )
        self.model.fit(
            inputs,
            targets,
            batch_size=self.task.batch_size,
            shuffle=False,
            verbose=0,
        )
        losses = np.array(self._losses.values)
        test = keras_problem.problem_split(self.task, seed, "test")
        result = self.model.evaluate(
            *test, batch_size=len(test[1]), verbose=0, return_dict=True
        )
        return Curve(losses, result["loss"], result["accuracy"])


class LossCurve(keras.metrics.Metric):
    """Remembers the loss of every batch since the last reset.

    Keras's own logs have means, and once every `steps_per_execution` only.

    Args:
        loss_fn: Of targets and outputs, a scalar.
        num_steps: Batches to remember; later ones are not.
    """

    def __init__(self, loss_fn, num_steps, name="loss_curve"):
        super().__init__(name=name)
        self._loss_fn = loss_fn
        self.values = self.add_variable((num_steps,), "zeros", name="values")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        del sample_weight
        loss = self._loss_fn(y_true, y_pred)
        now = ops.arange(self.values.shape[0], dtype="float32") == self.count
        self.values.assign(ops.where(now, loss, self.values))
        self.count.assign_add(1.0)

    def result(self):
        return ops.sum(self.values) / ops.maximum(self.count, 1.0)

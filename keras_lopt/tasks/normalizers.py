"""Normalizers: losses of different tasks on one scale, bounded and finite.

The scale comes from chance, the entropy of the data or the loss at the start,
never from a run of a hand-designed optimizer: none may enter self-training.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from keras_lopt.checks import check_integer, check_number

#: Seed of the problems whose initial losses are measured.
_START_SEED = 19_112


@dataclasses.dataclass(frozen=True)
class Normalizer:
    """`(loss - floor) / unit`, clipped to [0, ceiling].

    A loss that is not finite becomes the ceiling.

    Args:
        floor: The least possible loss, or 0.
        unit: The loss above the floor that becomes 1.0, such as that of
            guessing.
        ceiling: Upper bound of the normalized loss.
    """

    floor: float = 0.0
    unit: float = 1.0
    ceiling: float = 2.0

    def __post_init__(self):
        check_number("floor", self.floor, "(-inf, inf)")
        check_number("unit", self.unit, "(0, inf)")
        check_number("ceiling", self.ceiling, "(0, inf)")

    def __call__(self, loss):
        """Normalizes a tensor of losses."""
        if (self.floor, self.unit) != (0.0, 1.0):
            loss = (loss - self.floor) / self.unit
        loss = tf.where(tf.math.is_finite(loss), loss, self.ceiling)
        return tf.clip_by_value(loss, 0.0, self.ceiling)

    def resolve(self, task):
        """This normalizer: it does not depend on the task."""
        del task
        return self


@dataclasses.dataclass(frozen=True)
class FromStart:
    """A `Normalizer` for which 1.0 is a task's median loss at the start.

    Args:
        floor: The least possible loss, or 0.
        ceiling: As for `Normalizer`.
        problems: Number of problems whose initial losses are measured.
    """

    floor: float = 0.0
    ceiling: float = 4.0
    problems: int = 9

    def __post_init__(self):
        check_integer("problems", self.problems, 1)
        Normalizer(self.floor, 1.0, self.ceiling)

    def resolve(self, task):
        """The `Normalizer` for a `tasks.Task`."""
        start = float(np.median(initial_losses(task, self.problems)))
        if not math.isfinite(start) or start <= self.floor:
            raise ValueError(
                f"The loss of task {task.name!r} at the start must be finite "
                f"and above `floor`={self.floor}, because it is the unit of "
                f"the normalizer. Received: {start}; pass a "
                "`tasks.Normalizer(floor, unit, ceiling)`"
            )
        # Rounded, so that other builds of TensorFlow get the same unit.
        unit = float(f"{start - self.floor:.3g}")
        return Normalizer(self.floor, unit, self.ceiling)


def in_nats(num_classes):
    """A `Normalizer` in nats, up to twice the loss of guessing."""
    return Normalizer(ceiling=2.0 * math.log(max(2, num_classes)))


def chance(num_classes, ceiling=2.0):
    """A `Normalizer` for which 1.0 is the cross-entropy of guessing."""
    return Normalizer(0.0, math.log(num_classes), ceiling)


def initial_losses(task, problems):
    """[problems] training losses before the first step."""

    @tf.function(autograph=False)
    def loss_at_start(seed):
        batches = task.draw_batches(seed[None], tf.constant([0]), 1, "train")
        batch = tf.nest.map_structure(lambda b: b[0, 0], batches)
        return task.train_loss(*task.begin(seed), batch, seed)[0]

    with tf.init_scope():
        seeds = [tf.constant([_START_SEED, i]) for i in range(problems)]
        return np.array([loss_at_start(seed) for seed in seeds])

"""An estimate of the memory that training needs, before it is started.

A CPU trains one problem after the other. An accelerator has all at once, and
what it lacks it says only when everything is compiled.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from keras_lopt.tasks import cost
from keras_lopt.training.devices.division import Division


class Memory(NamedTuple):
    """Bytes on each replica.

    Args:
        states: The inner states of all tasks, which stay there.
        step: Most of what a step of one task needs besides: perturbed thetas,
            batches, activations and their gradients, gradients and updates of
            the parameters. XLA needs less where it fuses operations.
    """

    states: int
    step: int


def estimated(experiment, replicas):
    """The `Memory` of an experiment whose inner runs are vectorized.

    Args:
        experiment: An `Experiment`.
        replicas: Number of replicas that share its work.
    """
    division = Division.of(replicas, experiment)
    estimator = experiment.estimator
    particles = 2 * division.members * division.pairs  # When scoring, too.
    states, steps = 0, []
    for task in experiment.mixture.tasks:
        run = estimator.inner_run(experiment.rule, task, on_cpu=False)
        states += particles * run.state_bytes
        numbers = experiment.theta_vector.size
        numbers += 2 * cost.activations(task) + 2 * task.num_params
        batches = division.pairs * run.num_steps * _batch_bytes(task)
        steps.append(4 * particles * numbers + batches)
    return Memory(states, max(steps))


def _batch_bytes(task):
    """Bytes of a batch to train on and one for the outer loss."""
    arrays = tf.nest.flatten((task.dataset.inputs, task.dataset.targets))
    examples = sum(4 * math.prod(array.shape[1:]) for array in arrays)
    return 2 * task.batch_size * examples

"""The memory that vectorized inner runs need, counted by hand."""

import math

import keras

from keras_lopt.training.devices.memory import estimated
from tests import tiny


def test_the_smallest_task_is_counted_by_hand():
    experiment = tiny.experiment()
    found = estimated(experiment, 1)
    (task,) = experiment.mixture.tasks
    params = 16 * 2 + 2 + 2 * 10 + 10
    assert task.num_params == params
    particles = 4 * 2 * 2  # Members, pairs, sides.
    run = experiment.estimator.inner_run(experiment.rule, task)
    states = tiny.RULE.init_slots(
        experiment.initial_theta(0), task.model.trainable_variables
    )
    slots = sum(math.prod(s.shape) for s in keras.tree.flatten(states))
    others = sum(math.prod(v.shape) for v in task.model.non_trainable_variables)
    assert run.state_bytes == 4 * (params + slots + others)
    assert found.states == particles * run.state_bytes
    # Two pixels and ten classes per example at least, forwards and backwards.
    least = experiment.theta_vector.size + 2 * params + 2 * 2 * (2 + 10)
    assert 4 * particles * least < found.step < 100 * particles * least


def test_two_replicas_need_half_of_it_each():
    experiment = tiny.experiment()
    whole, half = (estimated(experiment, n) for n in (1, 2))
    assert half.states * 2 == whole.states
    assert half.step < whole.step

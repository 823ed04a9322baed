"""Data is in memory once, not once per family, program or replica."""

import gc

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules, tasks
from keras_lopt.estimators import PES
from keras_lopt.population import SelfTraining
from keras_lopt.tasks import datasets
from keras_lopt.training import Devices, Experiment, Schedule

#: Bytes; fewer than any dataset has, more than a graph needs.
LARGE = 20_000
TASKS = {
    "mlp": {"hidden": (4,)},
    "mlp_ae": {"hidden": (4,)},
    "nvp": {"data": "digits8", "hidden": (4,), "bijectors": 1},
    "digits_mlp": {"hidden": (4,)},
}


def address(tensor):
    """The address of an eager tensor's memory."""
    return np.from_dlpack(tensor).ctypes.data


def constants(graph):
    """Bytes of the largest constant of a graph and the functions it calls."""
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    values = [n.attr["value"].tensor for n in nodes if n.op == "Const"]
    return max(value.ByteSize() for value in values)


def test_families_share_the_images():
    made = [tasks.get(name, **config) for name, config in TASKS.items()]
    inputs = {address(task.dataset.tensors[0]) for task in made}
    assert len(inputs) == 1
    assert address(made[1].dataset.tensors[1]) in inputs
    # No other tensor in memory has as many numbers.
    gc.collect()
    size = datasets.digits(8).inputs.size
    found = {
        address(item)
        for item in gc.get_objects()
        if type(item).__name__ == "EagerTensor"
        and item.dtype == tf.float32
        and item.shape.num_elements() == size
    }
    assert found == inputs


def test_changed_arrays_get_a_new_copy():
    array = np.arange(8, dtype=np.float32)
    splits = {"train": (0, 8)}
    first = tasks.Dataset("x", array, array, None, splits)
    assert first.tensors[0] is not None
    array += 1.0
    later = tasks.Dataset("x", array, array, None, splits)
    np.testing.assert_array_equal(later.tensors[0], array)


@pytest.mark.parametrize("replicas", [1, 2])
def test_programs_capture_the_data_without_copying_it(replicas):
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    rule = rules.get("sgd")
    task = tasks.get("mlp", hidden=(4,), batch_size=4)
    experiment = Experiment(
        rule=rule,
        task=task,
        estimator=PES(pairs=2, horizon=2, truncation=1),
        schedule=Schedule(population=1, score_problems=2),
        teachers=SelfTraining(antisymmetric=False),
    )
    devices = Devices(experiment, strategy)
    thetas = np.zeros([1, rules.ThetaVector(rule).size], np.float32)
    traced = devices.tasks[0].score.trace(
        devices.replicas.broadcast(thetas),
        tf.constant([0, 1]),
        tf.constant(1),
        tf.constant(2),
    )
    assert constants(traced.graph) < LARGE
    inputs = address(task.dataset.tensors[0])
    captured = [
        tensor
        for tensor, _ in traced.graph.captures
        if tensor.dtype == tf.float32 and tensor.shape.rank == 4
    ]
    assert [address(tensor) for tensor in captured] == [inputs]

"""What a step costs on this machine, compared with Keras's Adam."""

import time

import keras
import numpy as np
from keras import ops

from keras_lopt.optimizers import backends

REPEATS = 9


def step_cost(optimizer, model):
    """Measures steps of a copy of an optimizer and of Adam, in turns.

    Args:
        optimizer: A `LearnedOptimizer`; it does not change.
        model: A built Keras model; its weights do not change.

    Returns:
        Dict with the keys `learned_optimizer` and `adam`. Both values are
        dicts: `ms`, the median milliseconds of a step (compiled by XLA on
        TensorFlow, not compiled elsewhere), and `bytes`, what the optimizer
        keeps between steps.
    """
    if not getattr(model, "built", False):
        raise ValueError(
            "`model` must be built, so that its weights have shapes. Call it "
            "on data or call `model.build(input_shape)`. "
            f"Received: model={model!r}"
        )
    values = [np.array(v) for v in model.trainable_variables]
    theta = optimizer.theta
    learned = type(optimizer)(
        optimizer.rule, theta, horizon=optimizer.horizon or 1000
    )
    steps = {
        "learned_optimizer": _Steps(learned, values),
        "adam": _Steps(keras.optimizers.Adam(), values),
    }
    times = {name: [] for name in steps}
    for _ in range(REPEATS):
        for name, take in steps.items():
            start = time.perf_counter()
            take()
            times[name].append(time.perf_counter() - start)
    return {
        name: {
            "ms": 1e3 * float(np.median(times[name])),
            "bytes": take.kept,
        }
        for name, take in steps.items()
    }


class _Steps:
    """Takes steps of an optimizer on its own copies of variables."""

    def __init__(self, optimizer, values):
        self._variables = [keras.Variable(value) for value in values]
        self._gradients = [ops.ones_like(v) for v in self._variables]
        optimizer.build(self._variables)
        self._step = self._compiled(optimizer)
        self.kept = sum(np.array(v).nbytes for v in optimizer.variables)
        self()  # Compiles.

    def _compiled(self, optimizer):
        def step():
            optimizer.scale_loss(1.0)
            optimizer.apply(self._gradients, self._variables)

        return backends.compiled(step)

    def __call__(self):
        self._step()
        np.array(self._variables[-1])  # Waits for the step.

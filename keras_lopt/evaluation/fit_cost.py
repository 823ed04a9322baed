"""The cost of a learned optimizer in `fit`, next to Keras's Adam."""

import os
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from keras_lopt.checks import check_integer
from keras_lopt.evaluation import tables
from keras_lopt.evaluation.rule_cost import ADAM, make_optimizer
from keras_lopt.optimizers import LearnedOptimizer

BATCH_SIZE = 128
COLUMNS = (
    ("model", "{}", 12),
    ("weights", "{:,}", 10),
    ("optimizer", "{}", 12),
    ("ms_of_fit", "{:.1f}", 10),
    ("times_adam", "{:.2f}", 11),
    ("ms_of_step", "{:.1f}", 11),
    ("share_of_step", "{:.1%}", 14),
    ("first_seconds", "{:.1f}", 14),
)


def convnet():
    """Two convolutions and two Dense layers on 28x28 images: 985,426 weights.

    The layers of Keras's example for MNIST, and a Dense layer of 600 units.
    """
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(600, activation="relu"),
            layers.Dense(10),
        ]
    )


def deep_convnet():
    """Twelve convolutions on 32x32 images, as VGG's: 1,063,146 weights."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((32, 32, 3))])
    for filters, depth in ((32, 2), (64, 3), (128, 7)):
        for _ in range(depth):
            model.add(
                layers.Conv2D(filters, 3, padding="same", activation="relu")
            )
        model.add(layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    return model


class _EndsOfSteps(keras.callbacks.Callback):
    """Records when each step of a `fit` ended.

    The time of the whole call says little: at the end of the data `fit` waits,
    and calls with quite different steps took equally long.
    """

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())


class _Fit:
    """`fit` of a model by one optimizer, on images of noise."""

    def __init__(self, name, make_model, steps):
        self.steps = steps
        rng = np.random.default_rng(0)
        self._model = make_model()
        self.weights = self._model.count_params()
        count = steps * BATCH_SIZE
        self._x = rng.random((count, *self._model.input_shape[1:]), "float32")
        self._y = rng.integers(self._model.output_shape[-1], size=count)
        self._model.compile(
            optimizer=make_optimizer(name),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        start = time.perf_counter()
        self()  # Compiles.
        self.first_seconds = time.perf_counter() - start

    def __call__(self):
        """Milliseconds of wall time per training step."""
        ends = _EndsOfSteps()
        self._model.fit(
            self._x, self._y, batch_size=BATCH_SIZE, verbose=0, callbacks=[ends]
        )
        return 1e3 * float(np.median(np.diff(ends.times)))

    def step(self, ms_of_fit):
        """The time of the optimizer alone; None for Keras's optimizers."""
        optimizer = self._model.optimizer
        if not isinstance(optimizer, LearnedOptimizer):
            return {"ms_of_step": None, "share_of_step": None}
        ms = optimizer.cost(self._model)["learned_optimizer"]["ms"]
        return {"ms_of_step": ms, "share_of_step": ms / ms_of_fit}


def benchmark_fit(
    out_dir: str,
    *,
    rule_names: Sequence[str] = ("fused", "adafac_mlp"),
    models: Sequence[Callable[[], keras.Model]] = (convnet, deep_convnet),
    steps: int = 50,
    repeats: int = 7,
) -> list[dict]:
    """Prints a table of the cost of training steps; writes fit_cost.json.

    The optimizers take turns, so that a busy machine slows all of them alike.

    Args:
        out_dir: Folder for the results.
        rule_names: Names of registered rules; Keras's Adam comes first.
        models: Functions that return a built Keras model from images or
            vectors to logits of classes.
        steps: Steps per `fit`, at least 2; each has 128 examples.
        repeats: Number of measurements, whose median counts.

    Returns:
        List of dicts, the rows.
    """
    check_integer("steps", steps, 2)
    check_integer("repeats", repeats, 1)
    work = (
        f"fit of Keras models with batches of {BATCH_SIZE}, {steps} steps per "
        "call. Times are medians of wall time from the end of one step to the "
        "end of the next, with everything that `fit` does in between. The "
        "share is that of the optimizer's step (`LearnedOptimizer.cost`) in a "
        "step of `fit`. The first call traces and compiles."
    )
    print(work)
    print(tables.title(COLUMNS))
    rows = []
    for make_model in models:
        fits = {
            name: _Fit(name, make_model, steps) for name in [ADAM, *rule_names]
        }
        for row in _rows(fits, repeats):
            rows.append({"model": make_model.__name__} | row)
            print(tables.line(COLUMNS, rows[-1]), flush=True)
    tables.write(os.path.join(out_dir, "fit_cost.json"), work, rows)
    return rows


def _rows(fits, repeats):
    """Rows of one model; `fits`: dict from an optimizer to its `_Fit`."""
    times = [[fit() for fit in fits.values()] for _ in range(repeats)]
    times = np.array(times)
    ratios = np.median(times / times[:, :1], axis=0)
    medians = np.median(times, axis=0)
    for (name, fit), ms, ratio in zip(
        fits.items(), medians.tolist(), ratios.tolist(), strict=True
    ):
        yield {
            "optimizer": name,
            "weights": fit.weights,
            "ms_of_fit": ms,
            "times_adam": ratio,
            **fit.step(ms),
            "first_seconds": fit.first_seconds,
        }

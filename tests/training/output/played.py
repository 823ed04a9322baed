"""Callbacks that are called as `fit` calls them, with a stand-in trainer."""

import types

from keras_lopt.training.output import records


def row(generation):
    """A row of the history with recognizable numbers."""
    return {
        "generation": generation,
        "outer_step": 10 * generation,
        "best_score": 1.0 / (1 + generation),
        "median_score": 2.0,
        "worst_score": 3.0,
        "best_train_loss": 0.125,
        "accepted_fraction": 0.25,
        "best_id": 5,
        "inner_steps": 1000 * generation,
        "inner_steps_per_second": 12345.6,
        "seconds": 0.5 * generation,
        "exchanged_bytes": 4400,
    }


def stand_in(generation=0, **attributes):
    """A trainer after `generation`, as far as callbacks look at it."""
    return types.SimpleNamespace(
        generation=generation,
        history=[row(g) for g in range(generation + 1)],
        child_rows=[],
        stop_training=False,
        state=state_of(generation),
        **attributes,
    )


def child_rows(generation):
    """Rows of two children per generation; generation 0 has none."""
    return [
        {
            "generation": generation,
            "id": 2 * generation + i,
            "parent": 2 * generation + i - 2,
            "score": 2.0 - 0.1 * generation,
            "accepted": i,
        }
        for i in range(2 if generation else 0)
    ]


def state_of(generation):
    """A state after `generation`, as far as callbacks look at it."""
    return types.SimpleNamespace(
        generation=generation,
        seconds=0.5 * generation,
        history=[row(g) for g in range(generation + 1)],
        children=[
            records.packed(child_rows(g)) for g in range(1, generation + 1)
        ],
        best=None,
    )


def played(callback, trainer, generations, begin=True):
    """Calls `callback` as `fit` would for the next generations."""
    callback.set_model(trainer)
    callback.set_params({"epochs": generations[-1]})
    if begin:
        callback.on_train_begin()
    for generation in generations:
        trainer.generation = generation
        trainer.state.seconds = 0.5 * generation
        trainer.history = trainer.history[:generation] + [row(generation)]
        trainer.child_rows = child_rows(generation)
        callback.on_epoch_end(generation, {})
    callback.on_train_end()
    return callback

"""What is traced: all of it before the first generation."""

from keras_lopt.training.devices import workers
from tests import tiny


def test_no_retracing_after_generation_one():
    trainer = tiny.trainer()
    counts = []
    for generation in range(1, 8):  # Problems are redrawn in between.
        trainer.fit(generation)
        counts.append(trainer.devices.num_traces)
    # The update of theta; a task's estimate, score, and copies of members.
    assert set(counts) == {4}


def test_differences_name_the_key_and_both_values():
    first = {"a": {"b": 1, "c": [2]}, "d": 3}
    assert workers.differences(first, first) == []
    second = {"a": {"b": 1, "c": [4]}}
    assert workers.differences(first, second) == [
        "a.c: [2] and [4]",
        "d: 3 and None",
    ]

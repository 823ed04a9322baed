"""Recurrent cores: initializers of gates, and no cuDNN."""

from keras_lopt.tasks.parts import sequences
from keras_lopt.tasks.sampling import Sampler


def test_most_gates_share_an_initializer():
    drawn = [sequences.draw_core(Sampler("x", i)) for i in range(200)]
    shared = [d["initializer"] == d["recurrent_initializer"] for d in drawn]
    assert 0.75 < sum(shared) / 200 < 0.93
    assert {d["core"] for d in drawn} == set(sequences.DRAWN)


def test_no_core_uses_cudnn():
    for kind in ("gru", "lstm"):
        layer = sequences.core(kind, 2, "zeros", "zeros", sequences=False)
        assert layer.use_cudnn is False

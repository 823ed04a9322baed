"""Trains a small model for 50 steps by every rule, on any backend.

As a program, with KERAS_BACKEND set, `python -m tests.conformance.fifty_steps
out.npz` writes the trained parameters of each rule as `<rule>/<i>`.
"""

import sys

import keras
import numpy as np

from keras_lopt import rules
from keras_lopt.optimizers import InferHorizon, LearnedOptimizer
from tests import small_rules

EPOCHS, BATCHES, BATCH = 10, 5, 8
#: Below 1 where a random theta would diverge, because that is chaotic; above 1
#: where it would hardly change anything.
LEARNING_RATES = {"celo": 100.0, "velo": 0.01}


def data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(BATCHES * BATCH, 4)).astype(np.float32)
    y = np.tanh(x @ rng.normal(size=(4, 2))).astype(np.float32)
    return x, y


def make_model():
    """An MLP 4-5-2 with the same weights on every backend."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(2),
        ]
    )
    rng = np.random.default_rng(6)
    model.set_weights(
        [
            rng.normal(scale=0.5, size=w.shape).astype(np.float32)
            for w in model.get_weights()
        ]
    )
    return model


def train(name, accumulation=None):
    """Parameters after training with stock `fit`."""
    rule = small_rules.small_rule(name)
    theta = rule.init_theta(seed=2)
    optimizer = LearnedOptimizer(
        rule,
        theta,
        LEARNING_RATES.get(name, 1.0),
        gradient_accumulation_steps=accumulation,
    )
    model = make_model()
    model.compile(optimizer, loss="mse")
    model.fit(
        *data(),
        epochs=EPOCHS,
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        callbacks=[InferHorizon()],
    )
    assert int(optimizer.iterations) == 50 // (accumulation or 1)
    return model.get_weights()


def train_all():
    trained = {name: train(name) for name in rules.names()}
    trained["hierarchical_accumulated"] = train("hierarchical", 2)
    return {
        f"{name}/{i}": weight
        for name, weights in trained.items()
        for i, weight in enumerate(weights)
    }


if __name__ == "__main__":
    np.savez(sys.argv[1], **train_all())

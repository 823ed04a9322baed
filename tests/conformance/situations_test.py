"""A table of situations by optimizers, with Adam for reference.

optimizer_test.py has more of them, for every registered rule.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, rules
from tests.conformance.cases import Case
from tests.conformance.situations import SITUATIONS, Adam, policy

NAMES = ["fused", "mlp", "hierarchical", "velo", "scale_free"]


@pytest.fixture(scope="module", params=[*NAMES, "Adam"])
def case(request):
    return Adam() if request.param == "Adam" else Case.of(request.param)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.__name__)
def test_the_optimizer_does_what_is_expected(case, situation):
    situation(case)


# Cases that were wrong once, in `fit`, with the file that ships.


def bundled(**kwargs):
    return LearnedOptimizer.from_checkpoint("fused_digits", **kwargs)


@pytest.mark.parametrize("how", ["wrapped", "policy", "factor"])
def test_an_embedding_trains_with_a_scaled_loss(how):
    keras.utils.set_random_seed(0)
    with policy("mixed_float16" if how == "policy" else "float32"):
        model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Embedding(20, 4),
                keras.layers.Flatten(),
                keras.layers.Dense(1, dtype="float32"),
            ]
        )
        optimizer = bundled(loss_scale_factor=8.0 if how == "factor" else None)
        if how == "wrapped":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        start = model.get_weights()
        model.compile(optimizer, "mse", jit_compile=False)
        model.fit(np.zeros((8, 3), int), np.ones((8, 1)), verbose=0)
    moved = np.any(model.get_weights()[0] != start[0], axis=1)
    assert moved[0]  # The row that is looked up.


def test_half_a_state_is_not_loaded():
    """A step of 0.01, and an accumulation that was begun before the load."""
    rule = rules.get("sgd")
    theta = rule.init_theta(seed=0)

    def make():
        return LearnedOptimizer(rule, theta, gradient_accumulation_steps=3)

    state = {}
    make().save_own_variables(state)
    optimizer, variable = make(), keras.Variable(0.0)
    one = tf.constant(1.0)
    for _ in range(4):
        optimizer.apply([one], [variable])
    optimizer.load_own_variables(state)
    variable.assign(0.0)
    for _ in range(3):
        optimizer.apply([one], [variable])
    assert float(variable) == pytest.approx(-0.01, rel=1e-6)  # Not -0.0133.

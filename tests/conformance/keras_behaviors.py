"""What Keras asks of its own optimizers, asked of ours on any backend.

The behaviors are those of Keras' tests for its optimizers, in our words and
with numbers of our own. The rule is `sgd` with a step size of 1, so that every
value can be done by head. As a program, with KERAS_BACKEND set, `python -m
tests.conformance.keras_behaviors` runs all of them.
"""

import copy
import functools
import json
import pickle
import warnings

import keras
import numpy as np
from keras import ops

from keras_lopt import LearnedOptimizer, rules

RULE = rules.get("sgd", learning_rate=1.0)
THETA = RULE.init_theta(seed=0)
START = np.float32([[5.0, 6.0], [7.0, 8.0]])
ONES = np.ones((2, 2), np.float32)


def optimizer(**kwargs):
    return LearnedOptimizer(RULE, THETA, **kwargs)


def variable(value=START):
    return keras.Variable(value)


def tensor(value):
    return ops.convert_to_tensor(np.asarray(value, np.float32))


def equal(found, expected, rtol=1e-6):
    found = ops.convert_to_numpy(found)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6)


def raises(call, *parts):
    """Checks that `call` raises a ValueError with these parts."""
    try:
        call()
    except ValueError as error:
        assert all(part in str(error) for part in parts), error
    else:
        raise AssertionError("nothing was raised")


# Steps.


def iterations_count_updates():
    one, v = optimizer(), variable()
    for count in (0, 1, 2):
        equal(one.iterations, count)
        returned = one.apply_gradients([(tensor(ONES), v)])
    equal(returned, 3)


def a_step_without_gradients_is_refused():
    raises(
        lambda: optimizer().apply_gradients([(None, variable())]),
        "No gradients provided for any variable",
    )
    optimizer().apply([])  # As Keras: nothing to do.


def a_variable_without_gradient_stays_and_keras_warns():
    first, second = variable(), variable()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer().apply_gradients([(None, first), (tensor(ONES), second)])
    assert any("Gradients do not exist" in str(w.message) for w in caught)
    equal(first, START)
    equal(second, START - 1.0)


def gradients_without_variables_need_a_built_optimizer():
    raises(lambda: optimizer().apply([tensor(ONES)]), "must already be built")
    one, v = optimizer(), variable()
    one.build([v])
    one.apply([tensor(ONES)])
    equal(v, START - 1.0)


def constraints_are_applied_after_the_step():
    v = variable(np.float32([0.5, 3.0]))
    v.constraint = keras.constraints.NonNeg()
    optimizer().apply([tensor([2.0, 1.0])], [v])
    equal(v, [0.0, 2.0])


def a_variable_can_be_overwritten_by_its_gradient():
    """As the scales of float8 layers are."""
    scale, v = variable(), variable()
    scale.overwrite_with_gradient = True
    optimizer().apply([tensor(3.0 * ONES), tensor(ONES)], [scale, v])
    equal(scale, 3.0 * ONES)
    equal(v, START - 1.0)


def overwriting_accumulates_the_largest_gradient():
    scale, v = variable(), variable()
    scale.overwrite_with_gradient = True
    one = optimizer(gradient_accumulation_steps=2)
    for number, (scales, values) in enumerate(
        [(START, START), (4.0 * ONES, START - 2.5), (4.0 * ONES, START - 2.5)]
    ):
        grad = tensor((4.0, 1.0, 2.0)[number] * ONES)
        one.apply([grad, grad], [scale, v])
        equal(scale, scales)
        equal(v, values)
    equal(one.iterations, 1)


# Options.


def only_one_kind_of_clipping():
    for kind in ("clipnorm", "clipvalue", "global_clipnorm"):
        assert getattr(optimizer(**{kind: 0.1}), kind) == 0.1
    for both in (
        {"clipnorm": 0.1, "clipvalue": 0.1},
        {"clipnorm": 0.1, "global_clipnorm": 0.1},
    ):
        raises(functools.partial(optimizer, **both), "Only one of")


def clipnorm_clips_each_gradient():
    first, second = variable([0.0, 0.0]), variable([0.0])
    optimizer(clipnorm=1.0).apply(
        [tensor([30.0, 40.0]), tensor([0.5])], [first, second]
    )
    equal(first, [-0.6, -0.8])
    equal(second, [-0.5])


def clipvalue_clips_each_entry():
    v = variable([0.0, 0.0, 0.0])
    optimizer(clipvalue=1.0).apply([tensor([30.0, -2.0, 0.5])], [v])
    equal(v, [-1.0, 1.0, -0.5])


def global_clipnorm_clips_all_gradients_together():
    first, second = variable([0.0]), variable([0.0])
    optimizer(global_clipnorm=1.0).apply(
        [tensor([30.0]), tensor([40.0])], [first, second]
    )
    equal(first, [-0.6])
    equal(second, [-0.8])


def averages_start_at_the_first_value_and_overwrite():
    one = optimizer(use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
    v = variable([8.0])
    for value, average in ((7.0, 7.0), (6.0, 6.5), (5.75, 5.75)):
        one.apply([tensor([1.0])], [v])
        equal(v, [value])
        equal(one._model_variables_moving_average[0], [average])


def averages_replace_the_weights_at_the_end_of_fit():
    one = optimizer(learning_rate=0.25, use_ema=True, ema_momentum=0.5)
    layer = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(one, "mse", run_eagerly=keras.backend.backend() != "jax")
    x, y = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    model.fit(x, y, epochs=2, verbose=0)  # 1, 0.5, 0.25.
    equal(one._model_variables_moving_average[0], [[0.375]])
    equal(layer.kernel, [[0.375]])


def a_loss_scale_factor_is_taken_out_of_the_gradients():
    one, v = optimizer(loss_scale_factor=1024.0), variable()
    one.apply([tensor(1024.0 * START)], [v])
    equal(one.scale_loss(tensor(2.0)), 2048.0)
    equal(v, 0.0 * START)


def accumulation_takes_the_mean_of_the_gradients():
    one, v = optimizer(gradient_accumulation_steps=3), variable()
    for number, value in enumerate((0.0, 0.0, 2.0, 2.0), start=1):
        one.apply([tensor(number * ONES)], [v])
        equal(v, START - value)
        total = (1.0, 3.0, 0.0, 4.0)[number - 1]
        equal(one._accumulated_gradients[0], total * ONES)
        equal(one._iterations, number)
        equal(one.iterations, number // 3)


def accumulation_decays_weights_once_per_update():
    once, thrice = variable(), variable()
    one = optimizer(weight_decay=0.25)
    other = optimizer(weight_decay=0.25, gradient_accumulation_steps=3)
    for _ in range(2):
        one.apply([tensor(2.0 * ONES)], [once])
        for number in (1.0, 2.0, 3.0):
            other.apply([tensor(number * ONES)], [thrice])
        equal(thrice, ops.convert_to_numpy(once))
    equal(once, 0.75 * (0.75 * START - 2.0) - 2.0)


def decay_can_leave_out_variables():
    kernel = keras.Variable(START, name="kernel")
    bias = keras.Variable(START, name="bias")
    one = optimizer(weight_decay=0.5)
    one.exclude_from_weight_decay(var_names=["bias"])
    one.apply([tensor(ONES), tensor(ONES)], [kernel, bias])
    equal(kernel, 0.5 * START - 1.0)
    equal(bias, START - 1.0)


def the_learning_rate_may_be_a_callable():
    one, v = optimizer(learning_rate=lambda: 0.5), variable()
    one.apply([tensor(ONES)], [v])
    equal(v, START - 0.5)


def the_learning_rate_can_be_set_and_become_a_schedule():
    one, v = optimizer(), variable()
    one.learning_rate = 0.5
    one.apply([tensor(ONES)], [v])
    equal(v, START - 0.5)
    count = len(one.variables)
    one.learning_rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1], [1.0, 2.0]
    )
    assert len(one.variables) == count - 1  # The rate is no variable now.
    one.apply([tensor(ONES)], [v])
    equal(v, START - 1.5)
    state = {}
    one.save_own_variables(state)
    one.apply([tensor(ONES)], [v])
    one.load_own_variables(state)
    equal(one.iterations, 2)


def sparse_gradients_are_summed():
    grad, v = _sparse(), variable(np.zeros((3, 2), np.float32))
    optimizer(loss_scale_factor=2.0).apply([grad], [v])
    equal(v, [[-1.0, -1.5], [0.0, 0.0], [-2.0, -3.0]])


def _sparse():
    """[[2, 3], [0, 0], [4, 6]] with the last row in two parts."""
    indices, rows = [2, 0, 2], [[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]
    backend = keras.backend.backend()
    if backend == "jax":
        from jax.experimental.sparse import BCOO

        return BCOO((tensor(rows), np.array(indices)[:, None]), shape=(3, 2))
    if backend == "torch":
        import torch

        return torch.sparse_coo_tensor(
            [indices], rows, (3, 2), check_invariants=True
        )
    import tensorflow as tf

    return tf.IndexedSlices(tensor(rows), tf.constant(indices), [3, 2])


# Names, configs and copies.


def names_are_numbered():
    keras.utils.clear_session()
    names = [optimizer().name for _ in range(3)]
    assert names == [
        "learned_optimizer",
        "learned_optimizer_1",
        "learned_optimizer_2",
    ]
    assert optimizer(name="mine").name == "mine"
    one = optimizer(name="mine")
    config = keras.optimizers.serialize(one)
    assert keras.optimizers.deserialize(config).name == "mine"


def keras_gets_it_from_object_and_config():
    one = optimizer(clipnorm=2.0)
    assert keras.optimizers.get(one) is one
    config = json.loads(json.dumps(keras.optimizers.serialize(one)))
    for other in (
        keras.optimizers.get(config),
        keras.optimizers.deserialize(config),
        keras.saving.deserialize_keras_object(config),
        LearnedOptimizer.from_config(one.get_config()),
    ):
        assert other.get_config() == one.get_config()
        v = variable([0.0, 0.0])
        other.apply([tensor([30.0, 40.0])], [v])
        equal(v, [-1.2, -1.6])


def copies_continue_exactly():
    rule = rules.get("fused", step_mult=0.1)
    one = LearnedOptimizer(rule, rule.init_theta(seed=1))
    v = variable()
    one.apply([tensor(START)], [v])
    copies = [
        copy.deepcopy(one),
        pickle.loads(pickle.dumps(one)),
        copy.deepcopy(copy.deepcopy(one)),
    ]
    others = [variable(ops.convert_to_numpy(v)) for _ in copies]
    one.apply([tensor(ONES)], [v])
    for other, w in zip(copies, others):
        assert other.get_config() == one.get_config()
        equal(other.iterations, 1)
        other.apply([tensor(ONES)], [w])
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (v, w)))


def weights_are_set_in_a_built_optimizer_only():
    one, v = optimizer(), variable()
    one.apply([tensor(ONES)], [v])
    weights = [ops.convert_to_numpy(w) for w in one.variables]
    other = optimizer()
    raises(lambda: other.set_weights(weights), "not yet been built")
    other.build([v])
    other.set_weights(weights)
    equal(other.iterations, 1)
    raises(lambda: other.set_weights(weights[:2]), "missing", "theta_log_lr")


def a_saved_model_continues(path="model.keras"):
    import pathlib
    import tempfile

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer(learning_rate=0.25), "mse")
    x, y = np.float32([[1.0, 2.0]]), np.float32([[1.0]])
    model.fit(x, y, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(pathlib.Path(folder) / path)
        loaded = keras.models.load_model(pathlib.Path(folder) / path)
    for one in (model, loaded):
        one.fit(x, y, verbose=0)
        equal(one.optimizer.iterations, 2)
    for a, b in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(a, b)


def a_cloned_model_trains():
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, kernel_initializer="ones", use_bias=False),
        ]
    )
    model.compile(optimizer(learning_rate=0.25), "mse")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    clone.fit(np.ones((1, 1)), np.zeros((1, 1)), verbose=0)
    equal(clone.get_weights()[0], [[0.5]])


BEHAVIORS = [
    iterations_count_updates,
    a_step_without_gradients_is_refused,
    a_variable_without_gradient_stays_and_keras_warns,
    gradients_without_variables_need_a_built_optimizer,
    constraints_are_applied_after_the_step,
    a_variable_can_be_overwritten_by_its_gradient,
    overwriting_accumulates_the_largest_gradient,
    only_one_kind_of_clipping,
    clipnorm_clips_each_gradient,
    clipvalue_clips_each_entry,
    global_clipnorm_clips_all_gradients_together,
    averages_start_at_the_first_value_and_overwrite,
    averages_replace_the_weights_at_the_end_of_fit,
    a_loss_scale_factor_is_taken_out_of_the_gradients,
    accumulation_takes_the_mean_of_the_gradients,
    accumulation_decays_weights_once_per_update,
    decay_can_leave_out_variables,
    the_learning_rate_may_be_a_callable,
    the_learning_rate_can_be_set_and_become_a_schedule,
    sparse_gradients_are_summed,
    names_are_numbered,
    keras_gets_it_from_object_and_config,
    copies_continue_exactly,
    weights_are_set_in_a_built_optimizer_only,
    a_saved_model_continues,
    a_cloned_model_trains,
]

if __name__ == "__main__":
    import traceback

    failed = []
    for behavior in BEHAVIORS:
        try:
            behavior()
        except Exception:
            failed.append(behavior.__name__)
            traceback.print_exc()
    if failed:
        raise SystemExit(f"Failed: {failed}")

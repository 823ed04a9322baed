"""Situations of a Keras optimizer, each with an exact expected value.

Each is a function of a `Case`, or of `Adam`, which has the same methods. What
is expected are steps done by hand: by `rule.update` alone, or for Adam by its
plain `apply`.
"""

import contextlib
import copy
import pathlib
import pickle
import tempfile

import keras
import numpy as np
import sklearn.base
import tensorflow as tf

from keras_lopt import LearnedOptimizer, checkpoints, optimizers
from keras_lopt.optimizers import backends
from tests.conformance.cases import (
    HORIZON,
    LOSSES,
    START,
    STEPS,
    X,
    Y,
    apply,
    apply_to,
    assert_equal,
    assert_same_state,
    compiled,
    differ,
    fit,
    loss_scaled,
    policy,
    values,
)


class Adam:
    """Keras' Adam, for reference: a `Case` without a rule."""

    def optimizer(self, learning_rate=0.1, **kwargs):
        kwargs.pop("horizon", None)
        return keras.optimizers.Adam(learning_rate, **kwargs)

    def by_hand(self, steps=STEPS, start=START, losses=LOSSES):
        return values(apply(self.optimizer(), steps, start, losses))


@contextlib.contextmanager
def floatx(name):
    keras.config.set_floatx(name)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")


@contextlib.contextmanager
def not_compiled():
    """Steps in graphs are traced, and not compiled by XLA, which takes long."""
    run_step = backends.run_step
    backends.run_step = lambda step: step()
    try:
        yield
    finally:
        backends.run_step = run_step


# Gradients.

TABLE = np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(4, 2)
ROWS = np.float32([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
INDICES = np.int32([2, 0, 2])
DENSE = np.float32([[3, 4], [0, 0], [6, 8], [0, 0]])


def _of_slices(case, scale, optimizer, change=tf.identity):
    """A step in a graph that knows nothing of the sizes of its gradient."""
    variable = keras.Variable(TABLE)
    optimizer.build([variable])

    @tf.function(
        input_signature=[
            tf.TensorSpec(None, tf.float32),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def step(rows, indices):
        optimizer.scale_loss(tf.constant(LOSSES[0]))
        grad = tf.IndexedSlices(change(rows), indices, tf.constant([4, 2]))
        optimizer.apply([grad], [variable])

    with not_compiled():
        step(tf.constant(scale * ROWS), tf.constant(INDICES))
    expected = case.by_hand([[DENSE]], [TABLE], LOSSES[:1])
    assert_equal([variable], expected, start=[TABLE])


def sparse_gradients_of_unknown_sizes(case):
    if isinstance(case, Adam):
        return  # It adds sparse gradients up, and needs the sizes for that.
    _of_slices(case, 1.0, case.optimizer())


def sparse_gradients_and_a_loss_scale_factor(case):
    if isinstance(case, Adam):
        return  # Keras divides sparse gradients, which raises.
    _of_slices(case, 8.0, case.optimizer(loss_scale_factor=8.0))


def dense_gradients_of_unknown_sizes(case):
    variables = [keras.Variable(p) for p in START]
    optimizer = case.optimizer()
    optimizer.build(variables)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32)] * 2)
    def step(*grads):
        optimizer.scale_loss(tf.constant(LOSSES[0]))
        optimizer.apply(grads, variables)

    with not_compiled():
        step(*map(tf.constant, STEPS[0]))
    assert_equal(variables, case.by_hand(STEPS[:1], losses=LOSSES[:1]))


# Precision.


def _of_floatx(case, name, rtol):
    """Variables of that type and float32 slots give the float32 values."""
    if isinstance(case, Adam) and name == "bfloat16":
        return  # Its slots are of that type, and so is their rounding.
    with floatx(name):
        optimizer = case.optimizer()
        found = apply(optimizer, STEPS[:1], losses=LOSSES[:1], dtype=name)
        assert {v.dtype for v in found} == {name}
    if not isinstance(case, Adam):
        assert {v.dtype for v in optimizer._slots.flat()} <= {"float32"}
        assert {v.dtype for v in optimizer._theta.values()} <= {"float32"}
    expected = case.by_hand(STEPS[:1], losses=LOSSES[:1])
    assert_equal(found, expected, rtol, atol=rtol)


def floatx_float64(case):
    _of_floatx(case, "float64", rtol=1e-6)


def floatx_float16(case):
    _of_floatx(case, "float16", rtol=5e-3)


def floatx_bfloat16(case):
    _of_floatx(case, "bfloat16", rtol=4e-2)


def policies(case):
    """One epoch of `fit` under each policy, against that under float32."""
    reference = compiled(case.optimizer())
    loss = fit(reference)
    for name, rtol in (
        ("float64", 1e-5),
        ("bfloat16", 0.1),
        ("mixed_bfloat16", 0.1),
        ("mixed_float16", 0.02),
    ):
        with policy(name):
            optimizer = case.optimizer()
            if name == "mixed_float16":
                optimizer = loss_scaled(optimizer, initial_scale=16.0)
            model = compiled(optimizer)
            np.testing.assert_allclose(fit(model), loss, rtol=rtol)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if not isinstance(case, Adam):
            assert {v.dtype for v in inner._slots.flat()} <= {"float32"}
        assert differ(model.trainable_variables, START)


# Freezing.


def averages_of_frozen_and_thawed_layers(case):
    """Averages (`use_ema`) belong to variables, not to positions."""
    if isinstance(case, Adam):
        return  # Keras writes the average of one layer into another.
    first, second = (keras.layers.Dense(3, use_bias=False) for _ in range(2))
    model = keras.Sequential([keras.Input((3,)), first, second])
    optimizer = case.optimizer(use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "mse", run_eagerly=True)
    y = np.pad(Y, ((0, 0), (0, 1)))

    def averages():
        return values(optimizer._model_variables_moving_average)

    fit(model, y=y)
    np.testing.assert_array_equal(
        values([first.kernel, second.kernel]), averages()
    )
    first.trainable = False
    frozen = values([first.kernel])[0]
    fit(model, y=y)
    np.testing.assert_array_equal(first.kernel, frozen)
    np.testing.assert_array_equal(averages()[0], frozen)
    np.testing.assert_array_equal(second.kernel, averages()[1])
    first.trainable = True
    fit(model, y=y)
    assert differ([first.kernel], [frozen])
    np.testing.assert_array_equal(first.kernel, averages()[0])


# Several optimizers.


def two_optimizers_in_one_step(case):
    """A train step that gives each layer to an optimizer of its own."""
    one, other = case.optimizer(), case.optimizer()
    kernel, bias = (keras.Variable(p) for p in START)
    for grads, loss in zip(STEPS, LOSSES):
        for optimizer, variable, grad in zip(
            (one, other), (kernel, bias), grads
        ):
            apply_to(optimizer, [variable], [[grad]], [loss])
    for variable, i in ((kernel, 0), (bias, 1)):
        (expected,) = case.by_hand([[g[i]] for g in STEPS], [START[i]])
        assert_equal([variable], [expected], start=None)
    assert differ([kernel, bias], START)


# Resumption: a state ends in the same object, whatever way it comes.


def _trained(case, **kwargs):
    optimizer = case.optimizer(**kwargs)
    variables = [keras.Variable(p, name=f"v{i}") for i, p in enumerate(START)]
    apply_to(optimizer, variables)
    return optimizer, variables


def _resumes(case, load, make=None):
    """`load(saved, new, variables)` makes `new` continue as `saved`.

    `new` has another horizon and theta that are not those of `saved`.
    """
    saved, variables = _trained(case)
    if isinstance(case, Adam):
        new = case.optimizer()
    elif make is None:
        theta = {k: v + 1.0 for k, v in case.theta.items()}
        new = LearnedOptimizer(case.rule, theta, 3.0, horizon=HORIZON + 1)
    else:
        new = make(saved)
    others = [keras.Variable(v.numpy(), name=v.name) for v in variables]
    new = load(saved, new, others) or new
    if not isinstance(case, Adam) and new._signals.reads_horizon:
        assert new.horizon == HORIZON
    for optimizer, trained in ((saved, variables), (new, others)):
        apply_to(optimizer, trained)
    assert_equal(others, variables, rtol=0, atol=0)
    assert_same_state(new, saved)


def resumed_by_set_weights(case):
    def load(saved, new, variables):
        new.build(variables)
        new.set_weights(values_of(saved))

    _resumes(case, load)


def values_of(optimizer):
    return [np.array(v) for v in optimizer.variables]


def resumed_by_own_variables(case):
    def load(saved, new, variables):
        state = {}
        saved.save_own_variables(state)
        new.build(variables)
        new.load_own_variables(state)

    _resumes(case, load)


def resumed_by_own_variables_before_build(case):
    if isinstance(case, Adam):
        return  # Keras skips it, with a warning.

    def load(saved, new, variables):
        state = {}
        saved.save_own_variables(state)
        new.load_own_variables(state)

    _resumes(case, load)


def resumed_by_a_checkpoint(case):
    def load(saved, new, variables):
        with tempfile.TemporaryDirectory() as folder:
            path = tf.train.Checkpoint(optimizer=saved).save(f"{folder}/one")
            new.build(variables)
            tf.train.Checkpoint(optimizer=new).restore(path).expect_partial()

    _resumes(case, load)
    if not isinstance(case, Adam):
        # Without horizon and theta, which the checkpoint has.
        _resumes(case, load, lambda _: LearnedOptimizer(case.rule, None, 3.0))


def resumed_by_a_distributed_checkpoint(case):
    if isinstance(case, Adam):
        return  # Its `apply` is that of Keras, which needs `strategy.run`.
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")

    def load(saved, new, variables):
        with strategy.scope():
            made = LearnedOptimizer(case.rule, None, 3.0)
            made.build(variables)
        with tempfile.TemporaryDirectory() as folder:
            path = tf.train.Checkpoint(optimizer=saved).save(f"{folder}/one")
            checkpoint = tf.train.Checkpoint(optimizer=made)
            checkpoint.restore(path).expect_partial()
        new.build(variables)
        new.set_weights(values_of(made))
        if made._signals.reads_horizon:
            assert made.horizon == HORIZON

    _resumes(case, load)


def resumed_by_copies(case):
    for copied in (copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))):
        if isinstance(case, Adam):
            return  # A copy of a built one loses its state.
        _resumes(case, lambda saved, new, _: None, copied)


def a_state_from_before_the_first_step_starts_anew(case):
    """Cross-validation saves it once, and loads it before every fold."""
    if isinstance(case, Adam):
        return  # Keras skips it, with a warning.
    options = {
        "gradient_accumulation_steps": 3,
        "use_ema": True,
        "guard": optimizers.DivergenceGuard(),
    }
    new, state = case.optimizer(**options), {}
    new.save_own_variables(state)
    optimizer = case.optimizer(**options)
    variables = [keras.Variable(p) for p in START]
    apply_to(optimizer, variables, STEPS * 2, LOSSES * 2)
    for load in (
        lambda: optimizer.load_own_variables(state),
        lambda: optimizer.set_weights(list(state.values())),
    ):
        load()
        others = [keras.Variable(p) for p in START]
        fresh = case.optimizer(**options)
        fresh.build(others)
        assert_same_state(optimizer, fresh)


# Configs.


def rebuilt_from_configs(case):
    """What `clone_model` and the others rebuild trains to the same values."""
    model = compiled(case.optimizer())
    config = model.get_compile_config()
    clone = keras.models.clone_model(model)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.compile_from_config(config)
    serialized = keras.saving.serialize_keras_object(model.optimizer)
    third = compiled(keras.saving.deserialize_keras_object(serialized))
    fit(model)
    for one in (clone, other, third):
        one.run_eagerly = True
        one.set_weights(START)
        fit(one)
        assert_equal(one.variables, model.variables, rtol=0, atol=0)


def wrapped_for_scikit_learn(case):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(case.optimizer(), "mse", run_eagerly=True)
    wrapper = keras.wrappers.SKLearnRegressor(
        model, fit_kwargs={"verbose": 0, "batch_size": 4}
    )
    wrapper.fit(X, Y[:, 0])
    assert int(wrapper.model_.optimizer.iterations) == 2
    copied = sklearn.base.clone(wrapper)
    copied.fit(X, Y[:, 0], verbose=0)
    assert int(copied.model_.optimizer.iterations) == 1  # No `fit_kwargs`.


def a_file_in_a_config(case):
    """A config names the file that theta is from."""
    if isinstance(case, Adam):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "one.safetensors"
        checkpoints.save(path, case.rule, case.theta)
        optimizer = LearnedOptimizer.from_checkpoint(
            path, learning_rate=3.0, horizon=HORIZON
        )
        config = optimizer.get_config()
        assert config["theta"] == {
            "source": str(path),
            "sha256": checkpoints.theta_sha256(case.theta),
        }
        other = LearnedOptimizer.from_config(config)
    assert other.get_config() == config
    assert_equal(apply(other), case.by_hand())


SITUATIONS = [
    sparse_gradients_of_unknown_sizes,
    sparse_gradients_and_a_loss_scale_factor,
    dense_gradients_of_unknown_sizes,
    floatx_float64,
    floatx_float16,
    floatx_bfloat16,
    policies,
    averages_of_frozen_and_thawed_layers,
    two_optimizers_in_one_step,
    resumed_by_set_weights,
    resumed_by_own_variables,
    resumed_by_own_variables_before_build,
    resumed_by_a_checkpoint,
    resumed_by_a_distributed_checkpoint,
    resumed_by_copies,
    a_state_from_before_the_first_step_starts_anew,
    rebuilt_from_configs,
    wrapped_for_scikit_learn,
    a_file_in_a_config,
]

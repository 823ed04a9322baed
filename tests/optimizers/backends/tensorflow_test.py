"""LearnedOptimizer under tf.distribute: two devices train as one."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer
from keras_lopt.optimizers.backends import tensorflow as backend

ALL_OPTIONS = {
    "clipnorm": 0.1,
    "weight_decay": 0.01,
    "use_ema": True,
    "ema_overwrite_frequency": 2,
    "gradient_accumulation_steps": 2,
}


@pytest.fixture
def mirrored():
    # Not the default collectives, whose keys clash if a process has several
    # strategies.
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )


@pytest.fixture
def train(fused, theta, make_model, regression):
    """Callable that trains under a scope and returns model and losses."""

    def run(scope, jit_compile=False, run_eagerly=False, **kwargs):
        with scope:
            model = make_model()
            model.compile(
                LearnedOptimizer(fused, theta, **kwargs),
                loss="mse",
                jit_compile=jit_compile,
                run_eagerly=run_eagerly,
            )
        history = model.fit(
            *regression, epochs=2, batch_size=16, shuffle=False, verbose=0
        )
        return model, history.history["loss"]

    return run


def assert_equal_training(found, expected):
    (model, losses), (reference, reference_losses) = found, expected
    np.testing.assert_allclose(losses, reference_losses, rtol=1e-5)
    variables = model.variables + model.optimizer.variables
    references = reference.variables + reference.optimizer.variables
    for variable, value in zip(variables, references, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, ALL_OPTIONS], ids=["plain", "all_options"]
)
def test_two_replicas_train_as_one(mirrored, train, options):
    found = train(mirrored.scope(), **options)
    assert_equal_training(found, train(contextlib.nullcontext(), **options))
    model, _ = found
    for variable in model.trainable_variables + model.optimizer.variables:
        first, second = variable.value.values
        np.testing.assert_array_equal(first, second)


@pytest.fixture
def compiled(monkeypatch):
    """List of the functions that become a `tf.function` compiled by XLA."""
    made, function = [], tf.function

    def record(f=None, **kwargs):
        if kwargs.get("jit_compile"):
            made.append(f)
        return function(f, **kwargs)

    monkeypatch.setattr(backend.tf, "function", record)
    return made


def test_several_replicas_compile_the_step(mirrored, train, compiled):
    model, _ = train(mirrored.scope())
    assert [f.func for f in compiled] == [model.optimizer._step] * 2


def test_the_step_is_compiled_if_keras_does_not_compile(train, compiled):
    # Keras's "auto" is False on a CPU.
    model, _ = train(contextlib.nullcontext(), jit_compile="auto")
    assert not model.jit_compile
    assert model.optimizer._step in [f.func for f in compiled]


def test_an_eager_step_is_not_compiled(train, compiled):
    train(contextlib.nullcontext(), run_eagerly=True)
    assert not compiled


@pytest.mark.parametrize(
    "options", [{}, ALL_OPTIONS], ids=["plain", "all_options"]
)
def test_jit_compile_is_refused_for_several_replicas(mirrored, train, options):
    with pytest.raises(
        ValueError,
        match="(?s)compile the step of all replicas for one device.*"
        "Pass `jit_compile=False`.*Received: jit_compile=True.* 2 replicas",
    ):
        train(mirrored.scope(), jit_compile=True, **options)


def test_a_one_device_strategy_compiles(train):
    scope = tf.distribute.OneDeviceStrategy("CPU:0").scope()
    found = train(scope, jit_compile=True)
    assert_equal_training(found, train(contextlib.nullcontext()))


def test_all_options_compile_to_the_same_training(train):
    scope = contextlib.nullcontext
    found = train(scope(), jit_compile=True, **ALL_OPTIONS)
    assert_equal_training(found, train(scope(), **ALL_OPTIONS))


def test_a_custom_loop_sums_the_gradients_of_the_replicas(
    mirrored, fused, theta
):
    with mirrored.scope():
        variable = tf.Variable([1.0, 2.0])
        optimizer = LearnedOptimizer(fused, theta)
        optimizer.build([variable])

    @tf.function
    def train_step():
        context = tf.distribute.get_replica_context()
        share = tf.cast(context.replica_id_in_sync_group, tf.float32) + 1.0
        optimizer.apply_gradients([(share * tf.ones(2), variable)])

    mirrored.run(train_step)
    alone = tf.Variable([1.0, 2.0])
    LearnedOptimizer(fused, theta).apply([3.0 * tf.ones(2)], [alone])
    np.testing.assert_allclose(variable.numpy(), alone.numpy(), rtol=1e-6)


def test_an_optimizer_from_outside_the_scope_is_refused(
    mirrored, fused, theta, make_model, regression
):
    optimizer = LearnedOptimizer(fused, theta)
    with mirrored.scope():
        model = make_model()
        model.compile(optimizer, loss="mse")
    with pytest.raises(
        ValueError, match="inside the `strategy.scope.*Mirrored"
    ):
        model.fit(*regression, verbose=0)

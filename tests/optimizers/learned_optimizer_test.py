"""LearnedOptimizer takes the steps of its rule, however Keras calls it."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import small_rules

NUM_STEPS = 8


def rule_loop(rule, theta, tensors, grads_of_step, learning_rate=1.0):
    """Params after the steps, computed by `rule.update` alone."""
    params = [tf.convert_to_tensor(p) for p in tensors]
    slots = rule.init_slots(theta, params)
    for step, grads in enumerate(grads_of_step):
        if callable(grads):
            grads = grads(params)
        signals = {"step": step, "horizon": 100, "train_loss": 1.0 / (1 + step)}
        deltas, slots = rule.update(theta, grads, params, slots, signals)
        params = [p + learning_rate * d for p, d in zip(params, deltas)]
    return [p.numpy() for p in params]


def assert_all_close(variables, expected, atol=1e-6):
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=atol)


@pytest.fixture
def tensors(rng, random_tensors):
    return random_tensors(rng)


@pytest.fixture
def gradients(rng, random_tensors):
    return [random_tensors(rng) for _ in range(NUM_STEPS)]


@pytest.mark.parametrize("name", rules.names())
def test_apply_takes_the_steps_of_the_rule(name, tensors, gradients):
    rule = small_rules.small_rule(name)
    theta = rule.init_theta(0)
    variables = [keras.Variable(p) for p in tensors]
    optimizer = LearnedOptimizer(rule, theta, learning_rate=10.0, horizon=100)
    for step, grads in enumerate(gradients):
        optimizer.scale_loss(1.0 / (1 + step))
        optimizer.apply_gradients(zip(map(tf.constant, grads), variables))
    expected = rule_loop(rule, theta, tensors, gradients, learning_rate=10.0)
    assert_all_close(variables, expected)
    assert int(optimizer.iterations) == NUM_STEPS


@pytest.mark.parametrize(
    "how",
    [
        {"jit_compile": True},
        {"jit_compile": False},
        {"jit_compile": "auto"},
        {"run_eagerly": True},
    ],
    ids=["jit", "graph", "auto", "eager"],
)
def test_fit_takes_the_steps_of_the_rule(
    fused, theta, make_model, regression, how
):
    x, y = regression
    model = make_model()
    batches = [slice(i % 64, i % 64 + 16) for i in range(0, 128, 16)]

    def grads_on(batch):
        def grads(params):
            with tf.GradientTape() as tape:
                tape.watch(params)
                outputs, _ = model.stateless_call(params, [], x[batch])
                loss = tf.reduce_mean((outputs - y[batch]) ** 2)
            return tape.gradient(loss, params)

        return grads

    expected = rule_loop(
        fused,
        theta,
        [v.numpy() for v in model.trainable_variables],
        [grads_on(batch) for batch in batches],
    )
    model.compile(LearnedOptimizer(fused, theta), loss="mse", **how)
    model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    assert_all_close(model.trainable_variables, expected)


def test_a_descending_theta_trains_and_evaluates_a_model(
    fused, descent_theta, make_model, regression
):
    model = make_model()
    model.compile(LearnedOptimizer(fused, descent_theta), loss="mse")
    before = model.evaluate(*regression, verbose=0)
    model.fit(*regression, epochs=10, batch_size=16, verbose=0)
    assert model.evaluate(*regression, verbose=0) < 0.3 * before


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_custom_loop_takes_the_steps_of_the_rule(
    fused, theta, tensors, jit_compile
):
    variables = [keras.Variable(p) for p in tensors]
    optimizer = LearnedOptimizer(fused, theta)
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def train_step():
        with tf.GradientTape() as tape:
            values = [v.value for v in variables]
            loss = tf.add_n([tf.reduce_sum(v**2) for v in values])
        optimizer.apply_gradients(zip(tape.gradient(loss, values), variables))

    for _ in range(3):
        train_step()
    grads = [lambda params: [2.0 * p for p in params]] * 3
    assert_all_close(variables, rule_loop(fused, theta, tensors, grads))


def test_the_first_traced_step_builds_the_optimizer(fused, theta):
    variable = tf.Variable([1.0, 2.0])
    optimizer = LearnedOptimizer(fused, theta)

    @tf.function
    def train_step():
        optimizer.apply_gradients([(tf.constant([0.5, -1.0]), variable)])

    train_step()
    train_step()
    start, grads = np.float32([1.0, 2.0]), [np.float32([0.5, -1.0])]
    expected = rule_loop(fused, theta, [start], [grads, grads])
    assert_all_close([variable], expected)


def test_theta_is_a_copy_that_training_does_not_change(fused, theta, tensors):
    original = {leaf: np.copy(value) for leaf, value in theta.items()}
    optimizer = LearnedOptimizer(fused, theta)
    for value in [*theta.values(), *optimizer.theta.values()]:
        value += 1.0
    variables = [keras.Variable(p) for p in tensors]
    optimizer.apply_gradients(zip(map(tf.constant, tensors), variables))
    for leaf, value in original.items():
        np.testing.assert_array_equal(optimizer.theta[leaf], value)


def test_from_checkpoint_has_the_saved_rule_and_theta(tmp_path, fused, theta):
    path = tmp_path / "best.safetensors"
    checkpoints.save(path, fused, theta)
    optimizer = LearnedOptimizer.from_checkpoint(
        tmp_path, learning_rate=0.5, clipnorm=2.0, name="mine"
    )
    assert optimizer.rule == fused
    assert float(optimizer.learning_rate) == 0.5
    assert (optimizer.clipnorm, optimizer.name) == (2.0, "mine")
    for leaf, value in theta.items():
        np.testing.assert_array_equal(optimizer.theta[leaf], value)


def test_the_config_is_plain(fused, theta):
    optimizer = LearnedOptimizer(fused, theta, horizon=100, clipvalue=0.5)
    config = json.loads(json.dumps(optimizer.get_config()))
    assert config["rule"] == {"name": "fused", "config": fused.get_config()}
    copy = LearnedOptimizer.from_config(config)
    assert copy.rule == fused
    assert copy.get_config() == optimizer.get_config()


def test_keras_serializes_it_and_passes_it_through(fused, theta):
    optimizer = LearnedOptimizer(fused, theta, learning_rate=0.25)
    assert keras.optimizers.get(optimizer) is optimizer
    config = keras.optimizers.serialize(optimizer)
    for copy in (
        keras.optimizers.deserialize(config),
        keras.optimizers.get(config),
    ):
        assert isinstance(copy, LearnedOptimizer)
        assert copy.get_config() == optimizer.get_config()

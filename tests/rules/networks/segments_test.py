"""Small tensors that share one run of the MLP, against each one alone."""

import functools

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.rules import perceptron_rule
from keras_lopt.rules.networks import segments

NAMES = ["fused", "mlp", "adafac_mlp"]
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)
SHAPES = st.lists(
    st.one_of(
        st.just(()),
        st.just((1,)),
        st.integers(1, 300).map(lambda size: (size,)),
        st.lists(st.integers(1, 5), min_size=2, max_size=3).map(tuple),
    ),
    min_size=2,
    max_size=5,
)
PROPERTY = hypothesis.settings(max_examples=5, deadline=None, database=None)


@pytest.fixture(autouse=True, scope="module")
def joining_starts_at_two_vectors():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptron_rule, "FEWEST_JOINED", 2)
        yield


def alone(rule, theta, grads, params, slots, signals):
    """`rule.update`, called for one tensor at a time."""
    results = [
        rule.update(theta, [grad], [param], [tensor_slots], signals)
        for grad, param, tensor_slots in zip(grads, params, slots, strict=True)
    ]
    return [d for (d,), _ in results], [s for _, (s,) in results]


def trained(rule, update, tensors, num_steps=3):
    """Deltas and slots after `num_steps` steps."""
    theta = {k: tf.constant(v) for k, v in rule.init_theta(1).items()}
    params = [tf.constant(t) for t in tensors]
    slots = rule.init_slots(theta, params)
    for step in range(num_steps):
        grads = [p * (1.0 + step) - 0.5 for p in params]
        signals = {"step": tf.constant(step)}
        deltas, slots = update(theta, grads, params, slots, signals)
        params = [p + d for p, d in zip(params, deltas, strict=True)]
    return deltas, slots


def draw(shapes, seed=0):
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-3, 1, size=len(shapes))
    return [
        (scale * rng.normal(size=shape)).astype(np.float32)
        for scale, shape in zip(scales, shapes)
    ]


def assert_same(found, expected):
    keras.tree.assert_same_structure(found, expected)
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(expected))
    for value, target in pairs:
        assert value.shape == target.shape
        tolerance = 2e-5 * max(1.0, np.abs(target).max())
        np.testing.assert_allclose(value, target, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("name", NAMES)
@PROPERTY
@hypothesis.given(shapes=SHAPES, seed=st.integers(0, 1000))
def test_joined_tensors_are_updated_as_if_alone(
    name, is_compiled, shapes, seed
):
    rule, tensors = rules.get(name, step_mult=0.1), draw(shapes, seed)
    together = rule.update
    if is_compiled:
        together = tf.function(together, autograph=False)
    expected = trained(rule, functools.partial(alone, rule), tensors)
    assert_same(trained(rule, together, tensors), expected)


@pytest.mark.parametrize("name", NAMES)
def test_many_vectors_under_xla_are_updated_as_if_alone(name):
    rule = rules.get(name, step_mult=0.1)
    tensors = draw([(50 + i % 7,) for i in range(20)])
    together = tf.function(rule.update, jit_compile=True, autograph=False)
    expected = trained(rule, functools.partial(alone, rule), tensors)
    assert_same(trained(rule, together, tensors), expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_nan_stays_in_its_own_tensor(name):
    rule, tensors = rules.get(name), draw([(5,), (30,), (12,)])
    expected, _ = trained(rule, rule.update, tensors)
    tensors[1][3] = np.nan
    deltas, _ = trained(rule, rule.update, tensors)
    assert np.isnan(deltas[1]).all()
    for i in (0, 2):
        np.testing.assert_array_equal(deltas[i], expected[i])


def theta_gradient(update, rule, jit):
    """Gradient of the sum of squared deltas with respect to theta."""
    tensors = [tf.constant(t) for t in draw([(30,), (7,), (1,), (12,)])]
    theta = {k: tf.constant(v) for k, v in rule.init_theta(0).items()}
    slots = rule.init_slots(theta, tensors)

    def gradient(theta):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            deltas, _ = update(theta, tensors, tensors, slots, {"step": 3})
            loss = sum(tf.reduce_sum(d * d) for d in deltas)
        return tape.gradient(loss, theta)

    return tf.function(gradient, jit_compile=jit, autograph=False)(theta)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_joined_tensors_equal_those_of_each_alone(name, jit):
    rule = rules.get(name, step_mult=1.0)
    found = theta_gradient(rule.update, rule, jit)
    expected = theta_gradient(functools.partial(alone, rule), rule, False)
    assert max(np.abs(g).max() for g in expected.values()) > 0.01
    assert_same(found, expected)


@pytest.mark.parametrize(
    "sizes, joined",
    [
        ([300] * 8, (300,) * 8),
        ([300] * 7, None),
        ([256, 255, 3, 300], (255, 3)),
        ([255, 256, 0], None),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_only_many_vectors_or_tiny_ones_are_joined(
    name, sizes, joined, monkeypatch
):
    found, plain = [], segments.perceptron_in_segments
    monkeypatch.setattr(perceptron_rule, "FEWEST_JOINED", 8)
    monkeypatch.setattr(
        segments,
        "perceptron_in_segments",
        lambda places, *args: (
            found.append(places.sizes) or plain(places, *args)
        ),
    )
    rule = rules.get(name)
    trained(rule, rule.update, draw([(n,) for n in sizes]), num_steps=1)
    assert found == ([] if joined is None else [joined])


@PROPERTY
@hypothesis.given(sizes=SIZES)
def test_split_undoes_join(sizes):
    places = segments.best(sizes)
    vectors = [np.full((2, n), i, np.float32) for i, n in enumerate(sizes)]
    joined = np.asarray(places.join(vectors))
    assert joined.shape == (2, sum(places.heights) * places.width)
    for row in joined:
        found = places.split(row)
        for part, vector in zip(found, vectors, strict=True):
            np.testing.assert_array_equal(part, vector[0])


@PROPERTY
@hypothesis.given(sizes=SIZES, seed=st.integers(0, 100))
def test_mean_squares_are_those_of_each_vector(sizes, seed):
    places, rng = segments.best(sizes), np.random.default_rng(seed)
    columns = np.ones((3, sum(places.heights) * places.width), np.float32)
    means = []
    for part in zip(*(places.split(row) for row in columns)):
        for row in part:
            row[:] = rng.normal(size=row.shape)
        means.append([np.mean(row**2) for row in part])
    columns = columns.reshape(3, -1, places.width)
    expected = np.repeat(np.transpose(means), places.heights, axis=1)
    found = places.mean_squares(tf.constant(columns))
    np.testing.assert_allclose(found[:, :, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "sizes, width",
    [([166] * 60, 166), ([64, 128, 256, 10], 64), ([3072, 768, 768], 768)],
)
def test_the_cheapest_row_width_is_chosen(sizes, width):
    assert segments.best(sizes).width == width


def test_join_refuses_another_number_of_vectors():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        segments.best([2, 3]).join([np.ones((1, 2), np.float32)])


def test_large_vectors_are_not_joined(monkeypatch):
    monkeypatch.setattr(perceptron_rule, "LARGEST_JOINED", 4)
    monkeypatch.setattr(segments, "perceptron_in_segments", None)
    rule = rules.get("fused")
    trained(rule, rule.update, draw([(5,), (4,), (6,)]), num_steps=1)


@pytest.mark.parametrize("name", NAMES)
def test_empty_vectors_are_allowed(name):
    rule = rules.get(name)
    update = tf.function(rule.update, autograph=False)
    deltas, _ = trained(rule, update, draw([(3,), (0,), (2,)]), num_steps=1)
    assert [d.shape.as_list() for d in deltas] == [[3], [0], [2]]
    assert np.all(np.isfinite(np.concatenate(deltas)))

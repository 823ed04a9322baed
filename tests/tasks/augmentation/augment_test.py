"""Augmentations: what they change and what they leave unchanged."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks
from keras_lopt.tasks import Variation, keras_problem
from tests.both_ways import assert_sgd_takes_the_same_steps

SEED = tf.constant([7, 3])


def loss_and_grads(task, seed=SEED, state=None):
    params, fresh = task.begin(seed)
    batch = task.draw_batches(seed[None], tf.constant([0]), 1, "train")
    batch = tf.nest.map_structure(lambda b: b[0, 0], batch)
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss, state = task.train_loss(params, state or fresh, batch, seed)
    return loss, tape.gradient(loss, params), state


@pytest.fixture
def noisy(digits_task):
    return tasks.augmented(digits_task(), gradient_noise=(0.5, 0.5))


def test_noise_is_in_the_gradients_and_not_in_the_loss(digits_task, noisy):
    loss, grads, _ = loss_and_grads(digits_task())
    same, first, state = loss_and_grads(noisy)
    _, second, _ = loss_and_grads(noisy, state=state)
    assert float(loss) == float(same)
    noise = [np.ravel(a - b) for a, b in zip(first, grads)]
    other = [np.ravel(a - b) for a, b in zip(second, grads)]
    noise, other = np.concatenate(noise), np.concatenate(other)
    assert noise.std() == pytest.approx(0.5, rel=0.15)
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.25


def test_fit_has_the_noise_of_the_inner_run(noisy):
    assert_sgd_takes_the_same_steps(noisy, (7, 3))


def test_every_tensor_has_its_own_factor(digits_task):
    task = digits_task(reparametrization=(0.1, 10.0), per_tensor=True)
    _, grads, _ = loss_and_grads(digits_task())
    _, scaled, _ = loss_and_grads(task)
    factors = task.variation.factors(SEED, [g.shape for g in grads])
    assert len({float(f) for f in factors}) == len(grads)
    for grad, other, factor in zip(grads, scaled, factors):
        np.testing.assert_allclose(
            other, factor * grad, rtol=1e-3, atol=1e-5 * float(factor)
        )
    model = keras_problem.problem_model(task)
    keras_problem.load_problem(task, model, SEED)
    x, _ = keras_problem.problem_batches(task, SEED, 1)
    # The model's, because XLA's random numbers differ from eager ones.
    factors = model.factors[0].numpy()
    assert len(set(factors)) == len(grads)
    params = [
        variable.value * factor
        for variable, factor in zip(model.inner.trainable_variables, factors)
    ]
    outputs, _ = task.model.stateless_call(params, [], x)
    np.testing.assert_allclose(model(x), outputs, rtol=1e-5, atol=1e-6)


def test_pixels_are_permuted_in_the_same_way_in_all_inputs(digits_task, draw):
    plain, _ = draw(digits_task())
    for split in ("train", "outer_valid"):
        plain, _ = draw(digits_task(), split)
        mixed, _ = draw(digits_task(pixel_permutation=True), split)
        view = Variation(pixel_permutation=True).view(SEED, 10, 16)
        assert sorted(view["pixels"].numpy()) == list(range(16))
        np.testing.assert_allclose(
            np.sort(mixed, axis=-1), np.sort(plain, axis=-1)
        )
        assert not np.array_equal(mixed, plain)
    task = digits_task(pixel_permutation=True)
    x, _ = keras_problem.problem_split(task, SEED, "test")
    pixels = keras_problem._compiled_view(task)(SEED)["pixels"].numpy()
    np.testing.assert_array_equal(x, task.dataset.arrays("test")[0][:, pixels])


def test_a_problem_has_only_its_subset_of_classes(digits_task, draw):
    task = digits_task(class_subset=3)
    for split in ("train", "test"):
        inputs, targets = draw(task, split)
        found = [set(np.unique(t)) for t in targets]
        assert [len(f) for f in found] == [3, 3] and found[0] != found[1]
        own = task.dataset.arrays(split)
        known = {(x.tobytes(), y) for x, y in zip(*own)}
        rows = zip(inputs.reshape(-1, 16), targets.ravel())
        assert {(x.tobytes(), y) for x, y in rows} <= known
    _, labels = keras_problem.problem_split(task, [7, 0], "test")
    assert set(np.unique(labels)) == found[0]


def test_a_subset_larger_than_the_number_of_classes_is_refused(digits_task):
    with pytest.raises(ValueError, match="`class_subset` must be <= 10"):
        digits_task(class_subset=11)


def test_layers_compute_in_low_precision_and_losses_do_not(digits_task):
    low = tasks.augmented(digits_task(), precision="mixed_bfloat16")
    assert {layer.compute_dtype for layer in low.model.layers} == {"bfloat16"}
    loss, grads, _ = loss_and_grads(digits_task())
    rough, low_grads, _ = loss_and_grads(low)
    assert rough.dtype == tf.float32 and float(rough) != float(loss)
    assert float(rough) == pytest.approx(float(loss), rel=0.02)
    assert {g.dtype for g in low_grads} == {tf.float32}


def test_batches_have_the_augmented_size(digits_task):
    small = tasks.augmented(digits_task(), batch_size=4)
    batches = small.draw_batches(SEED[None], tf.constant([0]), 1, "train")
    assert batches[0].shape == (1, 1, 4, 16)
    assert small.normalizer == digits_task().normalizer


def test_delayed_gradients_are_those_of_earlier_parameters(digits_task):
    task = tasks.augmented(digits_task(), delay=2)
    params, state = task.begin(SEED)
    batches = task.draw_batches(SEED[None], tf.constant([0]), 5, "train")
    history = []
    for step in range(5):
        batch = [b[0, step] for b in batches]
        history.append(params)
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss, state = task.train_loss(params, state, batch, SEED)
        grads = tape.gradient(loss, params)
        old = history[max(0, step - 2)]
        with tf.GradientTape() as tape:
            tape.watch(old)
            plain, _ = digits_task().train_loss(old, [], batch, SEED)
        assert float(loss) == pytest.approx(float(plain), rel=1e-6)
        for grad, expected in zip(grads, tape.gradient(plain, old)):
            np.testing.assert_allclose(grad, expected, rtol=1e-5, atol=1e-7)
        params = [p - 0.5 * g for p, g in zip(params, grads)]
    # Evaluation uses the current parameters.
    now = task.eval_loss(params, state, batch, SEED)
    expected = digits_task().eval_loss(params, [], batch, SEED)
    assert float(now) == pytest.approx(float(expected), rel=1e-6)


def test_a_delayed_task_starts_as_the_task_does(digits_task):
    task = tasks.augmented(digits_task(), delay=2, gradient_noise=(0.1, 0.1))
    for value, expected in zip(
        task.begin(SEED)[0], digits_task().begin(SEED)[0]
    ):
        np.testing.assert_array_equal(value, expected)


def test_fit_has_the_delay_of_the_inner_run(digits_task):
    variation = {"reparametrization": (0.5, 2.0), "delay": 3}
    task = tasks.augmented(digits_task(), **variation)
    assert_sgd_takes_the_same_steps(task, (7, 3))


@pytest.mark.parametrize("delay", [0, 1.5])
def test_a_bad_delay_is_refused(digits_task, delay):
    with pytest.raises(ValueError, match="`delay` must be an integer >= 1"):
        tasks.augmented(digits_task(), delay=delay)

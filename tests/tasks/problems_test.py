"""Problems: the effects of a variation and of the states of layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import tasks


def test_init_scale_multiplies_the_initial_values(digits_task, problem_seeds):
    plain, scaled = digits_task(), digits_task(init_scale=(2.0, 4.0))
    scales = []
    for seed in problem_seeds:
        pairs = list(zip(plain.begin(seed)[0], scaled.begin(seed)[0]))
        scale = float(pairs[0][1][0, 0] / pairs[0][0][0, 0])
        assert 2.0 <= scale <= 4.0
        for value, scaled_value in pairs:
            np.testing.assert_allclose(scaled_value, scale * value, rtol=1e-5)
        scales.append(scale)
    assert scales[0] != pytest.approx(scales[1], rel=1e-3)


def test_input_scale_multiplies_a_problems_inputs(digits_task, draw):
    plain, _ = draw(digits_task())
    inputs, _ = draw(digits_task(input_scale=(0.2, 0.5)))
    scales = np.max(inputs, axis=(1, 2, 3)) / np.max(plain, axis=(1, 2, 3))
    assert np.all((scales >= 0.2) & (scales <= 0.5))
    assert scales[0] != pytest.approx(scales[1], rel=1e-3)
    expected = plain * scales[:, None, None, None]
    np.testing.assert_allclose(inputs, expected, rtol=1e-5)


def test_labels_of_a_problem_are_permuted_alike_in_all_splits(
    digits_task, draw
):
    tables = [{}, {}]
    for split in ("train", "outer_valid"):
        plain = draw(digits_task(), split)[1]
        permuted = draw(digits_task(label_permutation=True), split)[1]
        for table, old, new in zip(tables, plain, permuted):
            for a, b in zip(old.ravel(), new.ravel()):
                assert table.setdefault(a, b) == b  # Consistent.
    for table in tables:
        assert set(table) == set(table.values()) == set(range(10))
    assert tables[0] != tables[1]


def test_reparametrization_keeps_the_function_and_scales_the_gradients(
    digits_task, problem_seeds, first_batch
):
    def loss_and_grads(task, seed):
        params, non_trainable = task.begin(seed)
        batch = first_batch(task, seed)
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss, _ = task.train_loss(params, non_trainable, batch, seed)
        return loss, tape.gradient(loss, params)

    plain = digits_task()
    other = digits_task(reparametrization=(0.01, 100.0))
    for seed in problem_seeds:
        factor = float(other.variation.scale("reparametrization", seed))
        assert abs(np.log(factor)) > 0.1
        loss, grads = loss_and_grads(plain, seed)
        same_loss, scaled_grads = loss_and_grads(other, seed)
        np.testing.assert_allclose(same_loss, loss, rtol=1e-5)
        for grad, scaled in zip(grads, scaled_grads):
            np.testing.assert_allclose(
                scaled, factor * grad, rtol=1e-4, atol=1e-6 * factor
            )


def test_activations_vary_between_problems(problem_seeds, first_batch):
    activations = ["relu", "tanh", "sigmoid"]
    task = tasks.get("wine_mlp", hidden=(4, 4), activation=activations)
    drawn = [task.begin(tf.constant([0, i]))[1] for i in range(30)]
    choices = np.array(drawn)  # [problems, layers]
    assert set(choices.ravel()) == {0.0, 1.0, 2.0}
    assert np.any(choices[:, 0] != choices[:, 1])
    # The problem computes with its choice.
    seed = problem_seeds[0]
    params, batch = task.begin(seed)[0], first_batch(task, seed)
    losses = {
        float(task.eval_loss(params, [c, c], batch, seed))
        for c in map(tf.constant, (0.0, 1.0, 2.0))
    }
    assert len(losses) == 3


def test_dropout_draws_anew_every_step_and_problem(
    wine_task, problem_seeds, first_batch
):
    task = wine_task([keras.layers.Dropout(0.5)])
    compiled = tf.function(task.train_loss, jit_compile=True, autograph=False)
    seed = problem_seeds[0]
    batch = first_batch(task, seed)
    params, state = task.begin(seed)
    _, other_state = task.begin(problem_seeds[1])
    first, next_state = compiled(params, state, batch, seed)
    again, _ = compiled(params, state, batch, seed)
    later, _ = compiled(params, next_state, batch, seed)
    other, _ = compiled(params, other_state, batch, seed)
    assert float(first) == float(again)
    assert len({float(first), float(later), float(other)}) == 3
    evaluated = {
        float(task.eval_loss(params, s, batch, seed))
        for s in (state, next_state, other_state)
    }
    assert len(evaluated) == 1


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.LSTM(2, dropout=0.5),
        keras.layers.Bidirectional(keras.layers.GRU(2)),
        keras.layers.SeparableConv1D(2, 3),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_of_sequences_train_compiled(
    layer, wine_task, problem_seeds, first_batch
):
    layers = [keras.layers.Reshape((13, 1)), layer, keras.layers.Flatten()]
    task, seed = wine_task(layers), problem_seeds[0]

    @tf.function(jit_compile=True, autograph=False)
    def loss_and_grads(seed, batch):
        params, state = task.begin(seed)
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss, _ = task.train_loss(params, state, batch, seed)
        return loss, tape.gradient(loss, params)

    loss, grads = loss_and_grads(seed, first_batch(task, seed))
    assert np.isfinite(loss)
    assert all(np.any(grad != 0.0) for grad in grads)


def test_batch_statistics_start_anew_and_are_learned(
    wine_task, problem_seeds, first_batch
):
    layer = keras.layers.BatchNormalization(momentum=0.5)
    task, seed = wine_task([layer]), problem_seeds[0]
    params, (mean, variance) = task.begin(seed)
    np.testing.assert_array_equal(mean, np.zeros(13))
    np.testing.assert_array_equal(variance, np.ones(13))
    inputs, targets = first_batch(task, seed)
    _, (new_mean, _) = task.train_loss(
        params, [mean, variance], (inputs, targets), seed
    )
    expected = 0.5 * np.mean(inputs, axis=0)
    np.testing.assert_allclose(new_mean, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(13))


def test_a_fraction_of_the_training_labels_is_replaced_for_good(
    digits_task, draw
):
    clean, found = (
        draw(digits_task()),
        draw(digits_task(label_noise=(0.3, 0.3))),
    )
    np.testing.assert_array_equal(clean[0], found[0])
    changed = np.mean(clean[1] != found[1], axis=(1, 2))
    # One of ten random labels is right.
    assert changed == pytest.approx(0.27, abs=0.08)
    for images, labels in zip(*found):
        table = {}
        for image, label in zip(
            images.reshape(-1, images.shape[-1]), labels.ravel()
        ):
            assert table.setdefault(image.tobytes(), label) == label


def test_labels_of_other_splits_have_no_noise(digits_task, draw):
    for split in ("inner_valid", "outer_valid", "test"):
        plain = draw(digits_task(), split)[1]
        noisy = draw(digits_task(label_noise=(1.0, 1.0)), split)[1]
        np.testing.assert_array_equal(plain, noisy)


def test_inputs_are_projected_by_one_matrix_per_problem(digits_task, draw):
    plain, _ = draw(digits_task())
    projected, _ = draw(digits_task(projection=5))
    assert projected.shape == (*plain.shape[:-1], 5)
    for inputs, found in zip(plain, projected):
        inputs = inputs.reshape(-1, inputs.shape[-1])
        found = found.reshape(-1, 5)
        matrix, *_ = np.linalg.lstsq(inputs, found, rcond=None)
        np.testing.assert_allclose(inputs @ matrix, found, atol=1e-4)


@pytest.mark.parametrize(
    "name, config, message",
    [
        ("mlp_ae", {"variation": {"projection": 4}}, "`projection` must be"),
        ("quadratic", {"variation": {"projection": 4}}, "`projection` must be"),
        (
            "tabular",
            {"data": "diabetes", "variation": {"label_noise": (0.0, 0.1)}},
            "`label_noise` must be .* for a dataset without classes",
        ),
    ],
)
def test_data_that_cannot_vary_so_are_refused(name, config, message):
    with pytest.raises(ValueError, match=message):
        tasks.get(name, **config)

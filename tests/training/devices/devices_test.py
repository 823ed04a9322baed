"""What runs on devices: the same on one replica and on two."""

import dataclasses
import functools
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules, tasks
from keras_lopt.estimators import PES
from keras_lopt.population import NoSelection, SelfTraining
from keras_lopt.rules import ThetaVector
from keras_lopt.tasks import Task, datasets
from keras_lopt.training import Devices, Experiment, Schedule, reuse_compiled
from keras_lopt.training.devices import devices_of
from keras_lopt.training.devices.division import Division
from keras_lopt.training.outer_step import OuterStep
from keras_lopt.training.state import blank_slots
from tests import tiny

MEMBERS = 2
RULE = rules.get("fused", hidden_units=1, hidden_layers=1, step_mult=0.05)
#: The first pair ends after one outer step, the second after two.
ESTIMATOR = PES(pairs=2, horizon=8, truncation=4)
SEEDS = [tf.constant([1, i]) for i in range(3)]


def make_strategy(replicas):
    """A strategy on logical CPU devices."""
    if replicas == 1:
        return tf.distribute.OneDeviceStrategy("CPU:0")
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


@pytest.fixture(scope="module")
def task():
    """Only two tensors, since these tests mostly compile."""

    def model_fn():
        return keras.Sequential([keras.Input((16,)), keras.layers.Dense(10)])

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Task("digits", model_fn, loss, datasets.digits(4), batch_size=8)


@pytest.fixture(scope="module")
def experiment(task):
    """Callable: estimator, problems of a scoring -> an `Experiment`."""

    def make(estimator=ESTIMATOR, score_problems=2):
        return Experiment(
            rule=RULE,
            task=task,
            estimator=estimator,
            schedule=Schedule(
                population=MEMBERS, score_problems=score_problems
            ),
            teachers=SelfTraining(antisymmetric=False),
            selection=NoSelection(),
        )

    return make


@pytest.fixture(scope="module")
def devices(experiment):
    """Callable: number of replicas -> the `Devices`, made once."""
    return functools.cache(
        lambda replicas: Devices(experiment(), make_strategy(replicas))
    )


@pytest.fixture(scope="module")
def thetas():
    """[p, d] of random members."""
    pack = ThetaVector(RULE).pack
    return np.stack([pack(RULE.init_theta(i)) for i in range(MEMBERS)])


@pytest.fixture(scope="module")
def run(devices, experiment, thetas):
    """Callable: replicas, first states, seeds -> results of outer steps.

    Members train each other. Results are the trained arrays, their losses and
    the gathered state.
    """

    def train(replicas, state=None, seeds=SEEDS, own=None):
        own = own or devices(replicas)
        if state is None:
            states = own.initial_states()
        else:
            states = [own.replicas.scatter(state)]
        slots = blank_slots(experiment())
        trained, losses, states = own.train(
            (thetas, thetas, slots, np.zeros(MEMBERS, np.int32)),
            (thetas[::-1], np.array([0.5, 2.0], np.float32)),
            states,
            [OuterStep(i, (0,), (seed,)) for i, seed in enumerate(seeds)],
        )
        return trained, losses, own.replicas.gather(*states)

    return train


@pytest.fixture(scope="module")
def one_replica(run):
    return run(1)


def assert_close(nest, expected, **tolerance):
    tf.nest.assert_same_structure(nest, expected)
    for a, b in zip(tf.nest.flatten(nest), tf.nest.flatten(expected)):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **tolerance)


def assert_equal(nest, expected):
    assert_close(nest, expected, rtol=0, atol=0)


def test_two_replicas_train_like_one(run, one_replica, thetas):
    trained, losses, state = run(2)
    assert_close(trained, one_replica[0], rtol=1e-4, atol=1e-5)
    assert_close(losses, one_replica[1], rtol=1e-5)
    assert_close(state, one_replica[2], rtol=1e-3, atol=1e-4)
    moved = np.abs(trained[0] - thetas)
    assert np.all(
        moved.max(axis=1) > 1e-3
    )  # There is something that could differ.


@pytest.mark.parametrize("cores, parts", [(1, {8, 4}), (3, {3, 2}), (64, {1})])
def test_any_number_of_cores_gives_the_same_bits(
    experiment, run, one_replica, thetas, devices, cores, parts
):
    """Each call has a part of the particles: 8 of an estimate, 4 of a scoring.

    On three cores 8 are parts of 3, the last filled up.
    """
    name = "keras_lopt.training.devices.replicas.num_cores"
    with mock.patch(name, lambda: cores):
        own = Devices(experiment(), make_strategy(1))
    own.update = devices(1).update  # It is not split: compiled only once.
    assert {part for part, *_ in own.tasks[0].run._programs} == parts
    assert_equal(run(1, own=own), one_replica)
    seed = SEEDS[0]
    assert_equal(own.score(thetas, seed), devices(1).score(thetas, seed))


def test_the_same_seeds_give_the_same_bits(run, one_replica):
    assert_equal(run(1), one_replica)


def test_other_seeds_give_other_problems(run, one_replica):
    seeds = [tf.constant([2, i]) for i in range(3)]
    _, losses, state = run(1, seeds=seeds)
    assert np.all(losses != one_replica[1])
    assert np.all(np.any(state.seeds != one_replica[2].seeds, axis=1))


def test_replicas_share_the_pairs_of_a_state(devices, run):
    """A run that began on one replica continues on two."""
    _, _, state = run(1, seeds=SEEDS[:1])
    expected = run(1, state, SEEDS[1:])
    moved = run(2, state, SEEDS[1:])
    assert_close(moved[0], expected[0], rtol=1e-4, atol=1e-5)
    assert_close(moved[2], expected[2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("replicas", [1, 2])
def test_gather_inverts_scatter(devices, one_replica, replicas):
    state = one_replica[2]
    own = devices(replicas).replicas
    assert_equal(own.gather(own.scatter(state)), state)


def test_first_problems_do_not_depend_on_the_replicas(devices):
    states = [
        devices(n).replicas.gather(*devices(n).initial_states()) for n in (1, 2)
    ]
    assert_equal(states[1], states[0])
    np.testing.assert_array_equal(states[0].ends, [4, 8])


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_copied_member_takes_its_inner_state_along(
    devices, one_replica, replicas
):
    state, own = one_replica[2], devices(replicas)
    copied = own.replicas.gather(
        *own.copy_members([own.replicas.scatter(state)], [1, 1])
    )
    members = (state.inner, state.noise, state.squares)
    inner, noise, squares = tf.nest.map_structure(
        lambda leaf: leaf[[1, 1]], members
    )
    assert np.any(state.noise[0] != noise[0])
    # All members share the problems and their clock.
    assert_equal(
        copied, state._replace(inner=inner, noise=noise, squares=squares)
    )


def test_two_replicas_score_like_one(devices, thetas):
    scores = [devices(n).score(thetas, SEEDS[0]) for n in (1, 2)]
    assert_close(scores[1], scores[0], rtol=1e-5)
    held_out, train = scores[0]
    assert held_out.shape == train.shape == (MEMBERS, 1)
    assert np.all(held_out != train)


def test_fewer_calls_of_a_scoring_need_no_new_program(devices, thetas):
    """A scoring is compiled by one call of it."""
    task = devices(1).tasks[0]
    horizon = tf.constant(8)  # Twice the truncation: a whole run is 2 calls.
    scores = {
        n: task.score(thetas, SEEDS[0], tf.constant(n), horizon)[0]
        for n in (1, 2)
    }
    expected = devices(1).score(thetas, SEEDS[0])[0][:, 0]
    np.testing.assert_array_equal(scores[2], expected)
    assert np.all(scores[1] != scores[2])
    assert task.score.num_traces == 1


def test_members_are_scored_on_the_same_problems(devices, thetas):
    own = devices(1)

    def score(thetas, seed=SEEDS[0]):
        return own.score(thetas, seed)[0][:, 0]

    scores = score(thetas)
    assert scores[0] != scores[1]
    np.testing.assert_array_equal(score(thetas[::-1]), scores[::-1])
    np.testing.assert_array_equal(score(thetas[[1, 1]]), scores[[1, 1]])
    np.testing.assert_array_equal(score(thetas), scores)
    assert np.all(score(thetas, SEEDS[1]) != scores)


@pytest.mark.parametrize("outer_split", ["train", "outer_valid"])
def test_scoring_is_on_data_of_no_gradient(
    task, experiment, thetas, outer_split
):
    estimator = dataclasses.replace(ESTIMATOR, outer_split=outer_split)
    own = Devices(experiment(estimator), make_strategy(1))
    used = []
    for function, args in (
        (
            own.tasks[0].estimate,
            (
                own.replicas.broadcast(thetas),
                *own.initial_states(),
                SEEDS[0],
                tf.constant(0),
            ),
        ),
        (
            own.tasks[0].score,
            (thetas, SEEDS[0], tf.constant(1), tf.constant(8)),
        ),
    ):
        with mock.patch.object(
            task, "draw_batches", wraps=task.draw_batches
        ) as draw:
            tf.function(function, autograph=False).get_concrete_function(*args)
        used.append({call.args[-1] for call in draw.call_args_list})
    assert used == [{"train", outer_split}, {"train", "inner_valid"}]


@pytest.mark.parametrize(
    "outer_split, programs", [("outer_valid", 1), ("train", 2)]
)
def test_estimate_and_scoring_share_what_is_compiled(
    experiment, outer_split, programs
):
    estimator = dataclasses.replace(ESTIMATOR, outer_split=outer_split)
    own = Devices(experiment(estimator, score_problems=4), make_strategy(1))
    assert own.tasks[0].scoring.particles == MEMBERS * 2 * estimator.pairs
    assert own.tasks[0].run.num_programs == programs


def test_scores_do_not_depend_on_the_rounds(experiment, thetas):
    four, two_by_two = (
        Devices(experiment(estimator, score_problems=4), make_strategy(1))
        for estimator in (ESTIMATOR, dataclasses.replace(ESTIMATOR, pairs=1))
    )
    assert four.tasks[0].scoring.problems_per_round == 4
    assert two_by_two.tasks[0].scoring.problems_per_round == 2
    scores = [own.score(thetas, SEEDS[0]) for own in (four, two_by_two)]
    assert_close(scores[1], scores[0], rtol=1e-5)


@pytest.fixture(scope="module")
def one_pair(experiment):
    """Callable: number of replicas -> `Devices` of one pair per member."""
    estimator = PES(pairs=1, horizon=8, truncation=4, normalize=True)
    return functools.cache(
        lambda replicas: Devices(experiment(estimator), make_strategy(replicas))
    )


def test_replicas_share_the_members_where_there_is_one_pair(
    run, one_pair, thetas
):
    two = one_pair(2)
    assert two.division == Division(1, 1, 2, member_parts=2)
    results = [run(n, own=one_pair(n)) for n in (1, 2)]
    # The same sums in the same order.
    assert_equal(results[1], results[0])
    assert_equal(
        two.score(thetas, SEEDS[0]), one_pair(1).score(thetas, SEEDS[0])
    )
    state = results[0][2]
    for sources in ([1, 1], [1, 0], [0, 0]):
        copied = [
            own.replicas.gather(
                *own.copy_members([own.replicas.scatter(state)], sources)
            )
            for own in (one_pair(1), two)
        ]
        assert_equal(copied[1], copied[0])


def test_like_experiments_are_compiled_once():
    strategy, one_replica = make_strategy(1), tf.distribute.get_strategy()
    name = "keras_lopt.training.devices.devices.Devices"
    with mock.patch(name, lambda *args: object()), reuse_compiled():
        first = devices_of(tiny.experiment(), strategy)
        for like in ({}, {"seed": 1}, {"selection": NoSelection()}):
            assert devices_of(tiny.experiment(**like), strategy) is first
        assert devices_of(tiny.experiment(), one_replica) is first
        for unlike in (
            {"rule": RULE},
            {"task": tasks.wine_mlp},
            {"estimator": ESTIMATOR},
            {"teachers": SelfTraining(antisymmetric=False)},
            {"schedule": Schedule(population=4)},
            {
                "schedule": dataclasses.replace(
                    tiny.SCHEDULE, score_horizons=(2,)
                )
            },
        ):
            other = devices_of(tiny.experiment(**unlike), strategy)
            assert other is not first
        assert devices_of(tiny.experiment(), make_strategy(2)) is not first


def test_a_context_of_reuse_begins_and_ends_empty():
    name = "keras_lopt.training.devices.devices.Devices"
    with mock.patch(name, lambda *args: object()), reuse_compiled():
        first = devices_of(tiny.experiment())
        with reuse_compiled():
            second = devices_of(tiny.experiment())
            assert devices_of(tiny.experiment()) is second
        assert devices_of(tiny.experiment()) is first
    assert second is not first

"""Mixtures: their weights, the task of an outer step, how to make one."""

import numpy as np
import pytest

from keras_lopt import tasks
from keras_lopt.tasks import Mixture


@pytest.fixture(scope="module")
def small():
    """A cheap task."""
    return tasks.get("quadratic", size=2)


@pytest.fixture(scope="module")
def large():
    """An expensive task."""
    return tasks.get("quadratic", size=200)


def test_a_task_alone_becomes_a_mixture_of_one(small):
    mixture = Mixture.of(small)
    assert mixture.tasks == (small,)
    assert mixture.name == small.name
    assert mixture.describe() == small.describe()
    assert mixture.weights.tolist() == mixture.shares.tolist() == [1.0]
    assert {mixture.draw(0, number) for number in range(9)} == {0}
    assert Mixture.of(mixture) is mixture


def test_description_has_tasks_and_weights(small, large):
    mixture = Mixture([small, large], weights=(1, 3))
    assert mixture.name == "mixture of 2 tasks"
    assert mixture.describe() == {
        "tasks": [small.describe(), large.describe()],
        "weights": [0.25, 0.75],
    }


def test_losses_on_unlike_scales_are_warned_of_once(small):
    nats = tasks.digits_mlp(4, (2,))
    like = tasks.get("mlp", data="digits4", hidden=(2,))
    with pytest.warns(UserWarning) as found:
        Mixture([small, nats, like])
    assert len(found) == 1
    assert "guessing has a loss of 2.30 on 'digits4x4_mlp" in str(found[0])
    Mixture([small, like])  # Warnings are errors here.
    Mixture([nats])


def test_weights_may_be_shares_of_the_steps(small, large):
    mixture = Mixture([small, large], (1.0, 3.0), shares_of="steps")
    assert mixture.shares.tolist() == mixture.weights.tolist() == [0.25, 0.75]
    assert mixture.describe()["shares_of"] == "steps"
    assert "shares_of" not in Mixture([small, large], (1.0, 3.0)).describe()
    with pytest.raises(ValueError, match="`shares_of` must be"):
        Mixture([small, large], shares_of="cost")


def test_weights_are_shares_of_the_time(small, large):
    costs = [tasks.task_cost(task).step for task in (small, large)]
    assert costs[1] > 3 * costs[0]
    for weights in ((1.0, 1.0), (1.0, 3.0)):
        mixture = Mixture([small, large], weights)
        assert mixture.shares.sum() == pytest.approx(1.0)
        time = mixture.shares * costs
        np.testing.assert_allclose(time / time.sum(), mixture.weights)


def test_draws_follow_from_seed_and_number(small, large):
    mixture, again = (Mixture([small, large], (1.0, 9.0)) for _ in range(2))
    drawn = [mixture.draw(3, number) for number in range(500)]
    assert drawn == [again.draw(3, number) for number in range(500)]
    assert drawn != [mixture.draw(4, number) for number in range(500)]
    assert np.mean(drawn) == pytest.approx(mixture.shares[1], abs=0.08)


def test_several_tasks_of_a_step_are_different_ones(small, large):
    mixture = Mixture([small, large], (1.0, 9.0))
    both = {mixture.draw_several(3, number, 2) for number in range(100)}
    assert both == {(0, 1), (1, 0)}
    for number in range(20):
        alone = mixture.draw_several(3, number, 1)
        assert alone == (mixture.draw(3, number),)


BAD = [
    ([], None, r"`tasks` must be a list of one or more .*tasks=\[\]"),
    (["mlp"], None, r"`tasks` must be a list of one or more .*'mlp'"),
    (0, None, "`tasks` must be a list of one or more .*tasks=0"),
    (1, (0.0,), "`weights` must be 1 finite numbers .*weights="),
    (1, (-1.0,), "`weights` must be .*-1.0"),
    (1, (1.0, 2.0), "`weights` must be 1 finite numbers"),
    (1, 2.0, "`weights` must be"),
    (2, None, r"different names.* more than once: \['quadratic_2_"),
]


@pytest.mark.parametrize("given, weights, message", BAD)
def test_bad_tasks_and_weights_are_refused(small, given, weights, message):
    if given in (1, 2):
        given = [small] * given
    with pytest.raises(ValueError, match=message):
        Mixture(given, weights)


def test_only_a_task_becomes_a_mixture():
    with pytest.raises(ValueError, match="`task` must be .*task='mlp'"):
        Mixture.of("mlp")


def test_equal_configurations_become_one_task_with_both_weights():
    one, two = ("quadratic", {"size": 2}), ("quadratic", {"size": 3})
    mixture = tasks.listed_mixture([one, two, one], weights=(1.0, 2.0, 5.0))
    assert [task.num_params for task in mixture.tasks] == [2, 3]
    assert mixture.weights.tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    "configs, weights, message",
    [
        ([], None, "`tasks` must be a list of one or more"),
        (["mlp"], None, r"`configs` must be a list of pairs .*\['mlp'\]"),
        ([("mlp", 3)], None, "`configs` must be a list of pairs"),
        ({"mlp": {}}, None, "`configs` must be a list of pairs"),
        ([("mpl", {})], None, "Did you mean 'mlp'"),
        (
            [("mlp", {"hid": 3})],
            None,
            "Arguments of task 'mlp' must be among .*'hid'",
        ),
        ([("mlp", {}), ("mlp", {})], (1.0,), "`weights` must be 2 finite"),
    ],
)
def test_bad_configurations_are_refused(configs, weights, message):
    with pytest.raises(ValueError, match=message):
        tasks.listed_mixture(configs, weights)


def test_samples_are_different_tasks_of_each_family():
    names = ("quadratic", "losg", "tabular")
    first, again, other = (
        tasks.sample_mixture(names, shapes=2, seed=seed, max_cost=3_000_000)
        for seed in (0, 0, 1)
    )
    found = [task.name for task in first.tasks]
    assert [name.split("_")[0] for name in found] == [
        *("quadratic", "quadratic", "losg", "losg", "tabular", "tabular")
    ]
    assert len(set(found)) == 6
    assert found == [task.name for task in again.tasks]
    assert found != [task.name for task in other.tasks]
    for task in first.tasks:
        assert tasks.task_cost(task).step <= 3_000_000


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"families": ["mpl"]}, "Did you mean 'mlp'"),
        ({"families": []}, "`tasks` must be a list of one or more"),
        ({"families": "mlp"}, "`families` must be a list of names"),
        ({"families": ["losg"], "shapes": 0}, "`shapes` must be"),
        ({"families": ["losg"], "seed": -1}, "`seed` must be"),
        (
            {"families": ["losg"], "max_cost": 5},
            "`max_cost` must let 1 of 3 samples of 'losg' .*max_cost=5; only 0 "
            "are within it",
        ),
        ({"families": ["losg", "losg"]}, "must have different names"),
    ],
)
def test_bad_arguments_of_sampling_are_refused(arguments, message, monkeypatch):
    monkeypatch.setattr("keras_lopt.tasks.mixture._MOST_SAMPLES", 3)
    with pytest.raises(ValueError, match=message):
        tasks.sample_mixture(**arguments)

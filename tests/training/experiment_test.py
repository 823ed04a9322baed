"""`Experiment`: its defaults, its checks, and its description."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_lopt import checkpoints, rules, tasks
from keras_lopt.population import (
    Elitist,
    FixedTeacher,
    League,
    LogNormal,
    SelfTraining,
)
from keras_lopt.training import Experiment, Schedule
from tests import tiny


def test_defaults_are_self_training_by_a_league():
    experiment = Experiment(
        rule=tiny.RULE, task=tiny.task, estimator=tiny.ESTIMATOR
    )
    assert experiment.schedule == Schedule()
    assert experiment.teachers == League()
    assert experiment.selection == Elitist()
    assert experiment.mutation == LogNormal()
    assert experiment.seed == 0


OBJECTS = [
    *("rule", "estimator", "schedule"),
    *("teachers", "selection", "mutation"),
]


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("value", ["mine", None])
def test_refuses_arguments_of_another_type(name, value):
    with pytest.raises(
        ValueError, match=f"`{name}` must be a .*Received: {name}={value!r}"
    ):
        tiny.experiment(**{name: value})


@pytest.mark.parametrize("task", ["mine", None, lambda: None, lambda: "mine"])
def test_refuses_what_is_no_task(task):
    with pytest.raises(
        ValueError, match="`task` must be a `tasks.Task`, .*Received: task="
    ):
        tiny.experiment(task=task)


@pytest.mark.parametrize("seed", [-1, 2**31, "3", 1.0, None])
def test_refuses_bad_seeds(seed):
    with pytest.raises(
        ValueError, match=f"`seed` must be an integer in .*seed={seed!r}"
    ):
        tiny.experiment(seed=seed)


def test_refuses_a_population_that_cannot_be_selected():
    with pytest.raises(ValueError, match="`population` must be 1 or such that"):
        tiny.experiment(schedule=Schedule(population=6))


@pytest.mark.parametrize("missing", ["inner_valid", "outer_valid"])
def test_refuses_data_without_a_split(missing):
    """The estimator takes its outer loss on 'outer_valid'."""
    splits = ["train", "test", "inner_valid", "outer_valid"]
    splits.remove(missing)
    dataset = tasks.Dataset(
        *("mine", np.zeros([8, 3], np.float32), np.arange(8) % 2, 2),
        {split: (2 * i, 2) for i, split in enumerate(splits)},
    )

    def model_fn():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(
        ValueError,
        match="`splits` of dataset 'mine' must have 'train', 'inner_valid' "
        r"\(for scores\) and `outer_split`, 'outer_valid'. Received: \[",
    ):
        tiny.experiment(task=tasks.Task("mine", model_fn, loss, dataset, 2))


def test_a_task_may_be_given_or_made():
    task = tiny.task()
    made, given, mixed = (
        tiny.experiment(task=value)
        for value in (lambda: task, task, tasks.Mixture.of(task))
    )
    for experiment in (made, given, mixed):
        assert experiment.mixture.tasks[0] is task
        assert experiment.describe() == given.describe()


def test_teachers_say_their_rule():
    adam = rules.get("adam")
    by_teachers = {
        SelfTraining(): rules.AntisymmetricRule(tiny.RULE),
        SelfTraining(antisymmetric=False): tiny.RULE,
        FixedTeacher(teacher=adam): adam,
    }
    for teachers, rule in by_teachers.items():
        assert tiny.experiment(teachers=teachers).teacher_rule == rule


def test_inner_steps_are_counted():
    experiment = tiny.experiment()
    # 4 members, 2 pairs, 2 sides, 2 steps; 4 members, 1 problem, 4 steps.
    assert experiment.inner_steps_per_outer_step == 4 * 2 * 2 * 2
    assert experiment.inner_steps_per_scoring == 4 * 1 * 4
    other = tasks.digits_mlp(size=4, hidden=(3,), batch_size=2)
    mixture = tasks.Mixture([tiny.task(), other], (1.0, 1.0))
    two = tiny.experiment(task=mixture)
    assert two.inner_steps_per_outer_step == 4 * 2 * 2 * 2
    assert two.inner_steps_per_scoring == 2 * 4 * 1 * 4


def test_description_is_json_of_all_settings():
    theta = tiny.RULE.init_theta(5)
    teachers = FixedTeacher(teacher=tiny.RULE, theta=theta)
    described = tiny.experiment(teachers=teachers, seed=3).describe()
    fields = [field.name for field in dataclasses.fields(Experiment)]
    assert sorted(described) == sorted(fields)
    assert described["seed"] == 3
    assert described["schedule"] == {
        "type": "Schedule",
        **dataclasses.asdict(tiny.SCHEDULE),
        "hidden_score_horizons": [],
    }
    assert described["teachers"]["theta"]["w0"] == theta["w0"].tolist()
    assert json.loads(json.dumps(described))["estimator"]["type"] == "PES"


def described():
    return json.loads(json.dumps(tiny.experiment().describe()))


def test_a_run_is_of_the_experiment_that_describes_it():
    assert tiny.experiment().differences(described()) == []


def test_a_setting_younger_than_a_run_must_have_its_default():
    older = described()
    del older["schedule"]["averaging"]
    assert tiny.experiment().differences(older) == []
    changed = dataclasses.replace(tiny.SCHEDULE, averaging=0.5)
    other = tiny.experiment(schedule=changed)
    assert other.differences(older) == ["schedule"]


@pytest.mark.parametrize("found", [None, "text", {}, {"rule": 3}])
def test_what_is_no_description_differs_in_all_parts(found):
    experiment = tiny.experiment()
    parts = list(experiment.describe(defaults=False))
    assert experiment.differences(found) == parts


def test_unknown_settings_differ():
    newer = described()
    newer["selection"]["patience"] = 3
    assert tiny.experiment().differences(newer) == ["selection"]


@pytest.mark.parametrize(
    "schedule, message",
    [
        ({"tasks_per_step": 2}, "`tasks_per_step` must be <= 1, the number of"),
        ({"score_horizons": (3,)}, "`score_horizons` must be multiples of 2"),
        (
            {"hidden_score_horizons": (3,)},
            "`hidden_score_horizons` must be multiples of 2",
        ),
        (
            {"hidden_score_horizons": (4,)},
            r"`hidden_score_horizons` must be \(\) for a rule that ignores",
        ),
    ],
)
def test_refuses_a_schedule_that_does_not_fit(schedule, message):
    changed = dataclasses.replace(tiny.SCHEDULE, **schedule)
    with pytest.raises(ValueError, match=message):
        tiny.experiment(schedule=changed)


@pytest.fixture
def optimizer_file(tmp_path):
    """Callable: a rule -> an optimizer file of its theta 123."""

    def save(rule):
        path = tmp_path / "mine.safetensors"
        checkpoints.save(path, rule, rule.init_theta(123), {})
        return str(path)

    return save


def test_a_population_may_start_from_files(optimizer_file):
    file = optimizer_file(tiny.RULE)
    experiment = tiny.experiment(start=(file,))
    expected = tiny.RULE.init_theta(123)
    for leaf, value in experiment.initial_theta(0).items():
        np.testing.assert_array_equal(value, expected[leaf])
    random = tiny.RULE.init_theta((experiment.seed, 1))
    for leaf, value in experiment.initial_theta(1).items():
        np.testing.assert_array_equal(value, random[leaf])
    assert experiment.differences(described()) == ["start"]


def test_refuses_to_start_from_files_of_another_rule(optimizer_file):
    file = optimizer_file(rules.get("fused", hidden_units=3))
    with pytest.raises(ValueError, match="`start` must be files of the exp"):
        tiny.experiment(start=(file,))


def test_refuses_more_files_than_members(optimizer_file):
    file = optimizer_file(tiny.RULE)
    with pytest.raises(ValueError, match="`start` must be at most 4 files"):
        tiny.experiment(start=(file,) * 5)


@pytest.mark.parametrize("frozen", [("w7",), "w0", None])
def test_refuses_to_freeze_what_is_no_leaf(frozen):
    with pytest.raises(ValueError, match="`frozen` must be some of the leaves"):
        tiny.experiment(frozen=frozen)


def test_refuses_to_freeze_everything():
    leaves = tuple(tiny.RULE.theta_shapes())
    with pytest.raises(ValueError, match="but not all of them"):
        tiny.experiment(frozen=leaves)


def test_models_may_compute_in_bfloat16():
    experiment = tiny.experiment(
        task=tiny.task.__wrapped__, dtype_policy="mixed_bfloat16"
    )
    (task,) = experiment.mixture.tasks
    assert {layer.compute_dtype for layer in task.model.layers[1:]} == {
        "bfloat16"
    }
    assert {str(v.dtype) for v in task.model.variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert experiment.differences(described()) == ["dtype_policy"]


def test_a_dtype_policy_needs_a_task_that_is_built_with_it():
    with pytest.raises(ValueError, match="`task` must be a function that"):
        tiny.experiment(task=tiny.task(), dtype_policy="mixed_bfloat16")
    with pytest.raises(ValueError, match="`dtype_policy` must be"):
        tiny.experiment(task=tiny.task.__wrapped__, dtype_policy="float16")

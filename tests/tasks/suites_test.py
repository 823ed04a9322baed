"""Suites, the cost of tasks, and the commands that print them."""

import pytest

from keras_lopt import tasks
from tests import binaries


def test_suites_are_frozen_and_their_tasks_exist():
    assert tasks.suites.names() == [
        "general_test",
        "general_validation",
        "standard",
        "tfds",
        "tiny",
    ]
    for name in tasks.suites.names():
        for entry in tasks.suites.get(name):
            assert entry.family in tasks.names()
            assert entry.horizon >= 20 and len(entry.seeds) >= 1
            with pytest.raises(TypeError):
                entry.config["x"] = 1
    kinds = {entry.family for entry in tasks.suites.get("standard")}
    # Frozen before there were teachers.
    assert kinds == set(tasks.registry.families()) - {"teacher"}
    with pytest.raises(ValueError, match="`name` must be one of the suites"):
        tasks.suites.get("all")


def test_the_tasks_of_the_tiny_suite_are_small():
    for entry in tasks.suites.get("tiny"):
        assert entry.task().num_params < 400


def test_the_cost_of_dense_layers_is_the_cost_of_their_products():
    cost = tasks.task_cost(tasks.digits_mlp(hidden=(200,), batch_size=500))
    products = 3 * 2 * 500 * (64 * 200 + 200 * 10)
    assert cost.params == 64 * 200 + 200 + 200 * 10 + 10
    assert cost.state == 0
    assert products < cost.flops < 1.1 * products


def test_the_cost_of_a_loop_counts_its_steps():
    short, long = (
        tasks.task_cost(
            tasks.get("rnn_word_lm", vocabulary=100, length=n, units=64)
        ).flops
        for n in (4, 12)
    )
    # Keras traces one more step before the loop.
    assert long / short == pytest.approx(13 / 5, rel=0.1)


def test_the_list_of_a_suite_has_sizes_and_costs(capsys):
    with binaries.loaded("list_tasks") as command:
        command._tasks.FLAGS(["list_tasks", "--suite=tiny"])
        command.main(["list_tasks"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(tasks.suites.get("tiny"))
    assert lines[0].split() == ["task", "params", "state", "MFLOP/step"]
    assert lines[1].split()[1] == "226"


def test_the_tasks_of_an_experiment_are_listed(capsys):
    with binaries.loaded("list_tasks") as command:
        command._tasks.FLAGS(["list_tasks", "--gin_file=tiny.gin"])
        command.main(["list_tasks"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["task", "digits4x4_mlp_16-16-10"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--gin_file=tyni.gin"], "'tyni.gin'"),
        (
            ["--gin_file=benchmark_step.gin"],
            "must bind `training.Experiment.task`",
        ),
        (["--gin_file=tiny.gin", "--suite=tiny"], "--gin_file, one of them"),
    ],
)
def test_a_command_line_without_tasks_is_refused(arguments, message):
    with binaries.loaded("list_tasks") as command:
        command._tasks.FLAGS(["list_tasks", *arguments])
        with pytest.raises(command.app.UsageError) as caught:
            command.main(["list_tasks"])
    assert message in str(caught.value)


def test_the_time_of_steps_is_measured(capsys):
    with binaries.loaded("time_tasks") as command:
        from keras_lopt import rules

        rule = rules.get("fused", hidden_units=1, hidden_layers=1)
        task = tasks.get("quadratic", size=2)
        compilation, seconds = command.measure(task, rule, 2, 2, 2)
    assert compilation > seconds > 0.0

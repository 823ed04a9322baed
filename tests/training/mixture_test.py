"""A population on nine families: gin_configs/mixture.gin, made tiny."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import config, tasks
from keras_lopt.training.outer_step import OuterStep
from tests import tiny
from tests.benchmarks.kill_and_resume import differences
from tests.gin_test import assert_trains

GENERATIONS = 20
FAMILIES = 9


def run(out_dir, generations, *bindings):
    """Runs the shipped experiment, made tiny."""
    bindings = [
        *(*tiny.MIXTURE, tiny.POPULATION),
        "training.Schedule.outer_steps = 2",
        "training.Schedule.redraw_every = 8",
        f"training.run.generations = {generations}",
        *bindings,
    ]
    config.load(["mixture.gin"], bindings, str(tiny.CONFIGS))
    return tiny.run_loaded(out_dir)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a run and its trainer."""
    out_dir = tmp_path_factory.mktemp("mixture") / "whole"
    return out_dir, run(out_dir, GENERATIONS)


def columns(trainer, kind):
    """[generations + 1, tasks] of the columns `kind`/..."""
    names = [task.name for task in trainer.experiment.mixture.tasks]
    return np.array(
        [[row[f"{kind}/{n}"] for n in names] for row in trainer.history]
    )


def test_trains_on_every_family(whole):
    out_dir, trainer = whole
    with open(out_dir / "experiment.json") as file:
        described = json.load(file)["task"]["tasks"]
    kinds = {name.split("_digits")[0] for name in map(_name, described)}
    assert len(kinds) == len(trainer.experiment.mixture.tasks) == FAMILIES
    with open(out_dir / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == GENERATIONS + 1
    assert all(f"score/{name}" in rows[0] for name in map(_name, described))
    assert rows[-1] == {k: str(v) for k, v in trainer.history[-1].items()}


def _name(description):
    return description["name"]


def test_trains_for_a_generation(whole, tmp_path):
    assert_trains("mixture.gin", tmp_path)


def test_children_were_accepted_and_scores_fell(whole):
    history = whole[1].history
    assert sum(row["accepted_fraction"] for row in history[1:]) > 0.0
    # Nobody gets worse until the problems are drawn anew.
    scores = [row["best_score"] for row in history[1:9]]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < scores[0]


def test_the_score_is_the_mean_of_the_tasks(whole):
    trainer = whole[1]
    members = trainer.members
    np.testing.assert_allclose(
        members.scores, members.task_scores.mean(axis=1), rtol=1e-5
    )
    best = [row["best_score"] for row in trainer.history]
    scores = columns(trainer, "score")
    # Row 0 shows a random population, and so do its columns.
    np.testing.assert_allclose(scores.mean(axis=1), best, rtol=1e-5)
    ceilings = [task.max_loss for task in trainer.experiment.mixture.tasks]
    assert np.all(scores > 0.0) and np.all(scores <= ceilings)


def test_shares_count_the_draws(whole):
    trainer = whole[1]
    draw = trainer.experiment.mixture.draw
    drawn = [draw(0, i) for i in range(2 * GENERATIONS)]
    assert len(set(drawn)) > 5
    shares = columns(trainer, "share")
    assert shares[0].tolist() == [0.0] * FAMILIES
    for generation in (1, 7, GENERATIONS):
        counts = np.bincount(drawn[: 2 * generation], minlength=FAMILIES)
        np.testing.assert_allclose(
            shares[generation], counts / (2 * generation)
        )


def test_tasks_share_the_draw_and_the_update(whole):
    devices = whole[1].devices
    assert len({id(task._draw) for task in devices.tasks}) == 1
    assert callable(devices.update)  # Of the devices, not of any task.
    assert not any(hasattr(task, "update") for task in devices.tasks)
    # One program per task, for the estimate and the scoring.
    programs = [task.run.num_programs for task in devices.tasks]
    assert programs == [1] * FAMILIES


def test_a_task_that_was_not_drawn_kept_its_state(whole):
    devices, members = whole[1].devices, whole[1].members
    before = devices.initial_states()
    trained = (members.thetas, members.averages, members.slots)
    trained = (*trained, members.slot_steps)
    teachers = members.thetas, np.ones(4, np.float32)
    steps = [
        OuterStep(0, (2,), (tf.constant([0, 5]),)),
        OuterStep(1, (7,), (tf.constant([0, 6]),)),
    ]
    *_, after = devices.train(trained, teachers, before, steps)
    gather = devices.replicas.gather
    for number, states in enumerate(zip(before, after, strict=True)):
        old, new = (
            [leaf.tobytes() for leaf in tf.nest.flatten(gather(state))]
            for state in states
        )
        assert (old != new) == (number in (2, 7))


def test_a_copied_member_takes_all_its_states_along(whole):
    devices, states = whole[1].devices, whole[1].state.inner_states
    copied = devices.copy_members(states, np.array([1, 1, 2, 3]))
    differing = 0
    for old, new in zip(states, copied, strict=True):
        old, new = map(devices.replicas.gather, (old, new))
        np.testing.assert_array_equal(new.noise, old.noise[[1, 1, 2, 3]])
        differing += np.any(new.noise != old.noise)
    assert differing  # Tasks that were drawn since 1 was copied to 0.


def test_a_run_in_parts_is_the_same_bit_for_bit(whole, tmp_path, capsys):
    run(tmp_path, 7)
    run(tmp_path, GENERATIONS)
    assert "continues after generation 7" in capsys.readouterr().out
    assert differences(tmp_path, whole[0]) == []


def test_another_mixture_is_refused(whole):
    before = (whole[0] / "history.csv").read_bytes()
    weights = str((2.0, *[1.0] * (FAMILIES - 1)))
    for binding in (
        f"tasks.listed_mixture.weights = {weights}",
        'tasks.listed_mixture.configs = [("quadratic", {"size": 8})]',
    ):
        with pytest.raises(ValueError, match=r"another .*\['task'\] differ"):
            run(whole[0], GENERATIONS, binding)
    assert (whole[0] / "history.csv").read_bytes() == before


def test_a_bad_mixture_is_refused_before_anything_is_written(tmp_path):
    out_dir = tmp_path / "run"
    binding = "tasks.listed_mixture.weights = (1.0, -1.0)"
    with pytest.raises(ValueError, match="`weights` must be 9 finite"):
        run(out_dir, 1, binding)
    assert not out_dir.exists()


def test_a_mixture_of_one_trains_like_its_task():
    alone, mixture = (
        tiny.trainer(task=task)
        for task in (tiny.task(), tasks.Mixture([tiny.task()], (7.0,)))
    )
    for trainer in (alone, mixture):
        trainer.fit(2)
    history = tiny.without_clock(alone.history)
    assert history == tiny.without_clock(mixture.history)
    assert not any("/" in column for column in history[0])

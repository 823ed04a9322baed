"""Every shipped experiment can be read, and trains."""

import csv
import re
import warnings

import pytest

from keras_lopt import config
from keras_lopt.population import (
    Elitist,
    FixedTeacher,
    FrozenTeachers,
    Grid,
    League,
    LogNormal,
    NoSelection,
    SelfTraining,
)
from keras_lopt.rules import AdamRule
from tests import tiny

FILES = sorted(tiny.CONFIGS.rglob("*.gin"))
ROOTS = [path.name for path in FILES if path.parent == tiny.CONFIGS]
FRAGMENTS = [path for path in FILES if path.parent != tiny.CONFIGS]

#: Teachers, selection and mutation of the experiments.
EXPERIMENTS = {
    "quickstart.gin": (League, Elitist, LogNormal),
    "digits_fused.gin": (League, Elitist, LogNormal),
    "tiny.gin": (League, Elitist, LogNormal),
    "mixture.gin": (League, Elitist, LogNormal),
    "general.gin": (League, Elitist, LogNormal),
    "general_memory_told.gin": (League, Elitist, LogNormal),
    "general_memory_untold.gin": (League, Elitist, LogNormal),
    "general_orthogonal_told.gin": (League, Elitist, LogNormal),
    "general_orthogonal_untold.gin": (League, Elitist, LogNormal),
    "general_told.gin": (League, Elitist, LogNormal),
    "general_untold.gin": (League, Elitist, LogNormal),
    "general_controls.gin": (League, Elitist, LogNormal),
    "general_adam.gin": (FixedTeacher, Elitist, LogNormal),
    "general_selection_only.gin": (FrozenTeachers, Elitist, LogNormal),
    "general_second.gin": (FixedTeacher, Elitist, LogNormal),
    "population_one.gin": (SelfTraining, Elitist, LogNormal),
    "selection_only.gin": (FrozenTeachers, Elitist, LogNormal),
    "adam_outer.gin": (FixedTeacher, Elitist, LogNormal),
    "adam_outer_no_selection.gin": (FixedTeacher, NoSelection, Grid),
}


def included(path):
    """Paths of all files that a file includes, directly or not."""
    names = re.findall(r'^include "(.+)"$', path.read_text(), re.MULTILINE)
    found = set()
    for name in names:
        nested = tiny.CONFIGS / name
        found |= {nested} | included(nested)
    return found


def load(name, bindings=()):
    with warnings.catch_warnings(action="error"):
        config.load([name], bindings, str(tiny.CONFIGS))


@pytest.mark.parametrize("name", ROOTS)
def test_parses_and_uses_every_macro(name):
    load(name)
    assert config.text()


@pytest.mark.parametrize(
    "path", FRAGMENTS, ids=lambda p: p.relative_to(tiny.CONFIGS).as_posix()
)
def test_fragment_is_part_of_an_experiment(path):
    roots = [tiny.CONFIGS / name for name in ROOTS]
    assert path in set().union(*map(included, roots))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_includes_come_before_overrides(path):
    """An include placed after an override undoes it silently."""
    lines = path.read_text().splitlines()
    kinds = [
        "include" if line.startswith("include") else "binding"
        for line in lines
        if line.startswith("include") or re.match(r"[\w./]+ *=", line)
    ]
    assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_begins_with_a_comment(path):
    assert path.read_text().startswith("# ")


def test_all_experiments_that_train_are_listed_here():
    training = []
    for name in ROOTS:
        load(name)
        if "training.Experiment.task" in config.text():
            training.append(name)
    assert sorted(training) == sorted(EXPERIMENTS)


#: Many tasks take minutes to compile. tests/training/mixture_test.py trains on
#: nine, and `test_the_general_experiments_are_made` makes these.
LARGE = {"mixture.gin"} | {n for n in EXPERIMENTS if n.startswith("general")}


@pytest.mark.parametrize("name", sorted(EXPERIMENTS.keys() - LARGE))
def test_trains_for_a_generation(name, tmp_path):
    assert_trains(name, tmp_path)


def assert_trains(name, tmp_path):
    """Runs an experiment, made tiny, and asserts that it is as it should be."""
    trainer = tiny.run_config(name, tmp_path)
    experiment = trainer.experiment
    teachers, selection, mutation = EXPERIMENTS[name]
    assert type(experiment.teachers) is teachers
    assert type(experiment.selection) is selection
    assert type(experiment.mutation) is mutation
    population = 1 if name == "population_one.gin" else 4
    assert experiment.schedule.population == population
    assert len(trainer.members.ids) == population
    assert experiment.estimator.pairs == 2
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["outer_step"] for row in rows] == ["0", "1"]
    used = (tmp_path / "operative_config.gin").read_text()
    name = teachers.__name__
    assert f"training.Experiment.teachers = @population.{name}()" in used


@pytest.mark.parametrize(
    "name, tasks", [("general_untold.gin", 38), ("general_second.gin", 7)]
)
def test_the_general_experiments_are_made(name, tasks, monkeypatch):
    monkeypatch.chdir(tiny.CONFIGS.parent)  # One starts from a file in runs/.
    load(name)
    experiment = config.value("training.run.experiment")()
    assert experiment.rule.name == "scale_free"
    assert type(experiment.teachers) is EXPERIMENTS[name][0]
    assert len(experiment.mixture.tasks) == tasks
    # One compiled program serves for both.
    pairs = experiment.estimator.pairs
    assert experiment.schedule.score_problems == 2 * pairs
    started = 4 if name == "general_untold.gin" else 0
    assert len(experiment.start) == started
    if started:  # With no run of a known horizon.
        assert {told for _, told in experiment.score_runs} == {0}


@pytest.mark.parametrize("name", sorted(n for n in LARGE if "general" in n))
def test_the_teachers_of_the_general_experiments(name):
    load(name)
    teachers = config.value("training.Experiment.teachers")
    assert type(teachers) is EXPERIMENTS[name][0]


def test_adam_teaches_in_adam_outer(tmp_path):
    trainer = tiny.run_config("adam_outer.gin", tmp_path)
    adam = AdamRule(learning_rate=0.01)
    assert trainer.experiment.teachers.teacher == adam
    assert {row["teacher"] for row in trainer.child_rows} == {-1}


def test_population_one_has_all_the_pairs():
    load("digits_fused.gin")
    assert "estimators.PES.pairs = 4" in config.text()
    assert "training.Schedule.population = 8" in config.text()
    load("population_one.gin")
    assert f"estimators.PES.pairs = {4 * 8}" in config.text()
    assert "training.Schedule.population = 1" in config.text()

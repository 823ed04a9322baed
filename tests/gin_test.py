"""Every shipped experiment can be read, and trains."""

import csv
import re
import warnings

import pytest

from keras_lopt import config
from keras_lopt.population import (
    Elitist,
    FixedTrainer,
    FrozenTrainers,
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

#: Who trains whom, selection and mutation of the experiments.
EXPERIMENTS = {
    "quickstart.gin": (League, Elitist, LogNormal),
    "tiny.gin": (League, Elitist, LogNormal),
    "mixture.gin": (League, Elitist, LogNormal),
    "population_one.gin": (SelfTraining, Elitist, LogNormal),
    "selection_only.gin": (FrozenTrainers, Elitist, LogNormal),
    "adam_outer.gin": (FixedTrainer, Elitist, LogNormal),
    "adam_outer_no_selection.gin": (FixedTrainer, NoSelection, Grid),
}


def included(path):
    """Paths of all files that a file includes, and theirs."""
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
def test_parses_and_uses_all_its_macros(name):
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
def test_says_what_it_is(path):
    assert path.read_text().startswith("# ")


def test_all_that_train_are_known_here():
    training = []
    for name in ROOTS:
        load(name)
        if "training.run.task" in config.text():
            training.append(name)
    assert sorted(training) == sorted(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_trains(name, tmp_path):
    trainer = tiny.run_config(name, tmp_path)
    trainers, selection, mutation = EXPERIMENTS[name]
    assert type(trainer.trainers) is trainers
    assert type(trainer.selection) is selection
    assert type(trainer.mutation) is mutation
    population = 1 if name == "population_one.gin" else 4
    assert trainer.schedule.population == len(trainer.members.ids) == population
    assert trainer.estimator.pairs == 2
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["outer_step"] for row in rows] == ["0", "1"]
    used = (tmp_path / "operative_config.gin").read_text()
    assert f"training.run.trainers = @population.{trainers.__name__}()" in used


def test_adam_outer_trains_with_adam(tmp_path):
    trainer = tiny.run_config("adam_outer.gin", tmp_path)
    assert trainer.trainers.trainer == AdamRule(learning_rate=0.01)
    assert {row["trainer"] for row in trainer.last_generation} == {-1}


def test_population_one_has_all_the_pairs():
    load("quickstart.gin")
    assert "estimators.PES.pairs = 4" in config.text()
    assert "training.Schedule.population = 8" in config.text()
    load("population_one.gin")
    assert f"estimators.PES.pairs = {4 * 8}" in config.text()
    assert "training.Schedule.population = 1" in config.text()

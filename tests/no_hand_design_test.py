"""Nothing hand-designed takes part in self-training.

The test searches what a run wrote (operative_config.gin), the objects it was
made of, and what was called while it was traced, compiled and run. The same
search finds Adam where Adam is the teacher, so it can find something.
"""

import contextlib
import dataclasses
import re
from unittest import mock

import keras
import pytest
import tensorflow as tf

from keras_lopt import config, rules
from keras_lopt.rules import Rule
from tests import tiny

#: What hand-designed optimizers are called, besides their rules' names.
WORDS = ("adam", "sgd", "rmsprop", "optimizers")


def hand_designed_rules():
    """Classes of all registered rules that people designed."""
    classes = [type(rules.get(name)) for name in rules.names()]
    return [cls for cls in classes if cls.hand_designed]


@contextlib.contextmanager
def watching():
    """Context whose value collects what hand-designed methods are called."""
    used = set()

    def recorded(owner, method):
        original = getattr(owner, method)

        def call(self, *args, **kwargs):
            used.add(f"{type(self).__name__}.{method}")
            return original(self, *args, **kwargs)

        return mock.patch.object(owner, method, call)

    methods = [
        (cls, method)
        for cls in hand_designed_rules()
        for method in ("init_slots", "update", "update_tensor")
        if hasattr(cls, method)
    ]
    methods.append((keras.optimizers.Optimizer, "__init__"))
    with contextlib.ExitStack() as stack:
        for owner, method in methods:
            stack.enter_context(recorded(owner, method))
        yield used


def mentioned(text):
    """Names of hand-designed things in the text of a configuration."""
    names = {cls.__name__ for cls in hand_designed_rules()}
    names |= {name for name in WORDS if re.search(name, text, re.IGNORECASE)}
    return {name for name in names if name.lower() in text.lower()}


def reachable_rules(trainer):
    """All rules that a trainer holds, at any depth of its settings."""
    compiled = trainer.devices.experiment
    found = [compiled.rule, compiled.teacher_rule]
    found.append(trainer.experiment.teacher_rule)
    todo = [trainer.experiment]
    while todo:
        value = todo.pop()
        if isinstance(value, Rule):
            found.append(value)
        if dataclasses.is_dataclass(value):
            todo += [getattr(value, f.name) for f in dataclasses.fields(value)]
    return found


@dataclasses.dataclass(frozen=True)
class Findings:
    """Names of what is hand-designed in a run, by where it was found."""

    operative_config: set
    objects: set
    calls: set


def findings(gin_file, out_dir):
    """Runs an experiment, compiled anew, and searches it."""
    with watching() as used:
        trainer = tiny.run_config(gin_file, out_dir, anew=True)
    text = (out_dir / "operative_config.gin").read_text()
    return Findings(
        operative_config=mentioned(text),
        objects={
            type(rule).__name__
            for rule in reachable_rules(trainer)
            if rule.hand_designed
        },
        calls=used,
    )


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    return findings("quickstart.gin", tmp_path_factory.mktemp("quickstart"))


def test_the_operative_config_mentions_no_hand_design(quickstart):
    assert quickstart.operative_config == set()


def test_no_rule_of_the_trainer_is_hand_designed(quickstart):
    assert quickstart.objects == set()


def test_no_hand_designed_rule_is_called(quickstart):
    assert quickstart.calls == set()


def test_the_same_search_finds_adam_where_adam_trains(tmp_path):
    found = findings("adam_outer.gin", tmp_path)
    assert found.operative_config == {"AdamRule", "adam"}
    assert found.objects == {"AdamRule"}
    assert found.calls == {
        "AdamRule.init_slots",
        "AdamRule.update",
        "AdamRule.update_tensor",
    }


def test_the_same_search_finds_keras_optimizers():
    with watching() as used:
        keras.optimizers.SGD(0.1)
        keras.optimizers.Adam()
    keras.optimizers.RMSprop()
    assert used == {"SGD.__init__", "Adam.__init__"}


def test_the_same_search_finds_calls_in_compiled_functions():
    rule, weights = rules.get("adam"), [tf.zeros([3])]
    theta = rule.init_theta(0)
    with watching() as used:
        slots = rule.init_slots(theta, weights)
        step = tf.function(
            lambda: rule.update(theta, weights, weights, slots, {"step": 0})[0],
            jit_compile=True,
        )
        step()
    assert "AdamRule.update" in used


def test_adam_is_marked_as_hand_designed_and_learned_rules_are_not():
    hand_designed = {cls.name for cls in hand_designed_rules()}
    assert hand_designed == {"adam", "celo2", "nadamw", "sgd", "sgdm"}


@pytest.mark.parametrize(
    "gin_file",
    [
        *("quickstart.gin", "digits_fused.gin", "general.gin"),
        *("tiny.gin", "mixture.gin"),
        *("population_one.gin", "selection_only.gin"),
    ],
)
def test_configurations_of_self_training_mention_none(gin_file):
    config.load([gin_file], (), str(tiny.CONFIGS))
    assert mentioned(config.text()) == set()

"""gin files and bindings, and the messages about bad ones."""

import re
import warnings

import pytest

from keras_lopt import config
from keras_lopt.training import Schedule

HEADER = """
from __gin__ import dynamic_registration
from keras_lopt import training
"""


@pytest.fixture
def root(tmp_path):
    """Folder of configurations: a fragment, and a whole one."""
    folder = tmp_path / "configs"
    (folder / "parts").mkdir(parents=True)
    write(folder / "parts" / "steps.gin", "STEPS = 7")
    write(
        folder / "whole.gin",
        'include "parts/steps.gin"\n'
        "training.Schedule.outer_steps = %STEPS\n"
        "training.Schedule.population = 4\n",
    )
    return folder


def write(path, text):
    path.write_text(f"{HEADER}\n{text}\n")


def loaded(root, files=("whole.gin",), bindings=()):
    """The `Schedule` that files and bindings make."""
    config.load(files, bindings, str(root))
    return config.call(Schedule)


def refusal(root, files=("whole.gin",), bindings=()):
    """The message about files or bindings that can't be used."""
    with pytest.raises(config.ConfigError) as caught:
        config.load(files, bindings, str(root))
    return str(caught.value)


def test_files_are_found_in_the_root(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert loaded(root) == Schedule(population=4, outer_steps=7)


def test_files_are_found_by_path(root, tmp_path, monkeypatch):
    write(tmp_path / "mine.gin", "training.Schedule.population = 12")
    assert loaded(root, [str(tmp_path / "mine.gin")]).population == 12
    monkeypatch.chdir(tmp_path)
    assert loaded(root, ["mine.gin"]).population == 12


def test_a_file_beside_the_caller_may_include_from_the_root(root, tmp_path):
    write(
        tmp_path / "mine.gin",
        'include "whole.gin"\ntraining.Schedule.population = 12',
    )
    mine = loaded(root, [str(tmp_path / "mine.gin")])
    assert mine == Schedule(population=12, outer_steps=7)


def test_a_folder_of_results_does_not_hide_an_included_file(
    root, tmp_path, monkeypatch
):
    (tmp_path / "parts").mkdir()  # Like `runs` after a run.
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert loaded(root).outer_steps == 7


def test_later_files_and_then_bindings_override(root):
    write(root / "more.gin", "training.Schedule.population = 16")
    assert loaded(root, ["whole.gin", "more.gin"]).population == 16
    assert loaded(root, ["more.gin", "whole.gin"]).population == 4
    bindings = ["training.Schedule.population = 20", "Schedule.outer_steps=3"]
    assert loaded(root, ["whole.gin", "more.gin"], bindings) == Schedule(
        population=20, outer_steps=3
    )


def test_bindings_may_set_macros(root):
    assert loaded(root, bindings=["STEPS = 9"]).outer_steps == 9


def test_loading_forgets_earlier_configurations(root):
    loaded(root)
    write(root / "other.gin", "training.Schedule.score_problems = 2")
    assert loaded(root, ["other.gin"]) == Schedule(score_problems=2)


def test_arguments_of_the_caller_win(root):
    config.load(["whole.gin"], (), str(root))
    assert config.call(Schedule, 24).population == 24


def test_texts_have_what_was_read_and_what_was_used(root):
    loaded(root, bindings=["training.Schedule.redraw_every = 5"])
    assert "training.Schedule.population = 4" in config.text()
    assert "training.Schedule.redraw_every = 5" in config.text()
    assert "score_problems" not in config.text()
    used = config.operative_text()
    assert f"score_problems = {Schedule().score_problems}" in used
    assert "outer_steps = %STEPS" in used


def test_the_error_of_a_missing_file_lists_those_in_the_root(root):
    with pytest.raises(FileNotFoundError) as caught:
        config.load(["hole.gin"], (), str(root))
    assert str(caught.value) == (
        f"`gin_file` must be a file, or one of ['whole.gin'] in {root}. "
        "Received: gin_file='hole.gin'. Did you mean 'whole.gin'?"
    )


def test_refuses_a_folder(root):
    with pytest.raises(FileNotFoundError, match="gin_file='parts'"):
        config.load(["parts"], (), str(root))


BAD_BINDINGS = {
    "training.Schedule.populaton = 3": "parameter named 'populaton'",
    "training.Shedule.population = 3": "Shedule",
    "training.Schedule.population = @rules.NoRule()": "rules.NoRule",
    "training.Schedule.population = @NoRule": "NoRule",
    "training.Schedule.population": "expected ':' or '='",
    "training.Schedule.population = (": "",
    "from keras_lopt import nothing": "nothing",
    "import keras_lopt.nothing": "nothing",
    'include "nothing.gin"': "nothing.gin",
}


@pytest.mark.parametrize("binding", BAD_BINDINGS)
def test_refuses_a_bad_binding(root, binding):
    message = refusal(root, bindings=[binding])
    assert message.startswith(
        f"`gin_file` ['whole.gin'] with `gin` [{binding!r}] can't be used. "
    )
    assert re.search(BAD_BINDINGS[binding], message)


@pytest.mark.parametrize("line", BAD_BINDINGS)
def test_refuses_a_bad_line_of_a_file(root, line):
    write(root / "bad.gin", line)
    message = refusal(root, ["bad.gin"])
    assert message.startswith("`gin_file` ['bad.gin'] with `gin` [] can't be")
    assert re.search(BAD_BINDINGS[line], message)


def test_the_error_of_a_bad_binding_names_the_line(root):
    message = refusal(root, bindings=["training.Schedule.populaton = 3"])
    assert "line 1" in message


@pytest.mark.parametrize("bindings", [(), ["training.Schedule.population = 3"]])
def test_a_misspelled_macro_warns(root, bindings):
    write(
        root / "misspelled.gin",
        'include "parts/steps.gin"\n'
        "STPES = 9\n"
        "training.Schedule.outer_steps = %STEPS",
    )
    with pytest.warns(UserWarning, match="Macro STPES is set but never used"):
        config.load(["misspelled.gin"], bindings, str(root))


def test_a_misspelled_macro_of_a_binding_warns(root):
    with pytest.warns(UserWarning, match=r"Used macros: \['STEPS'\]"):
        config.load(["whole.gin"], ["STPES = 9"], str(root))


def test_macros_that_are_used_do_not_warn(root):
    with warnings.catch_warnings(action="error"):
        config.load(["whole.gin"], ["STEPS = 9"], str(root))


def test_an_unset_macro_is_an_error(root):
    write(root / "unset.gin", "training.Schedule.outer_steps = %NOWHERE")
    with pytest.raises(ValueError, match="NOWHERE"):
        loaded(root, ["unset.gin"])


def test_a_message_is_one_line(root):
    message = refusal(root, bindings=["training.run.rule = @rules.NoRule()"])
    assert config.message(ValueError(message)) == (
        "`gin_file` ['whole.gin'] with `gin` ['training.run.rule = "
        "@rules.NoRule()'] can't be used. Received: No configurable matching "
        "reference '@rules.NoRule()'. In bindings string line 1 "
        "training.run.rule = @rules.NoRule(). Did you mean 'rules.Rule'?"
    )


@pytest.mark.parametrize(
    ("binding", "near"),
    [
        ("training.Schedul.population = 4", "training.Schedule"),
        ("training.Schedule.populaton = 4", "population"),
        ("training.run.rule = @training.Experimen", "training.Experiment"),
    ],
)
def test_a_message_names_what_is_nearest(root, binding, near):
    message = refusal(root, bindings=[binding])
    assert message.endswith(f". Did you mean {near!r}?")


def test_a_message_names_a_value_that_python_cannot_read(root):
    message = refusal(root, bindings=["training.Schedule.population = nan"])
    assert message.endswith("Received: Failed to parse token 'nan' (line 1)")


def test_message_leaves_out_where_gin_raised(root):
    bindings = ["training.Schedule.population = 0"]
    with pytest.raises(ValueError) as caught:
        loaded(root, bindings=bindings)
    assert "In call to configurable" in str(caught.value)
    assert config.message(caught.value) == (
        "`population` must be an integer >= 1. Received: population=0"
    )


def test_value_is_what_is_bound_to_a_name(root):
    config.load(["whole.gin"], [], str(root))
    assert config.value("training.Schedule.population") == 4
    assert config.value("training.Schedule.outer_steps") == 7  # From a macro.


@pytest.mark.parametrize("name", ["training.Schedule.candidates", "no.such"])
def test_refuses_a_name_that_is_not_bound(root, name):
    config.load(["whole.gin"], [], str(root))
    message = f"The configuration must bind `{name}`. Received: "
    with pytest.raises(config.ConfigError, match=message):
        config.value(name)


def test_a_file_elsewhere_that_includes_a_shipped_one_does_not_warn(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "part.gin").write_text("")
    (tmp_path / "mine" / "whole.gin").write_text(
        'include "tiny.gin"\ninclude "part.gin"\n'
    )
    with warnings.catch_warnings(action="error"):
        config.load([str(tmp_path / "mine" / "whole.gin")])
    assert config.value("training.run.generations") == 4


def test_shipped_files_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.load(["tiny.gin"])
    assert config.value("training.run.generations") == 4

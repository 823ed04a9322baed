"""The benchmark of `fit`, on a tiny model."""

import json

import keras
import pytest

from keras_lopt import evaluation
from keras_lopt.evaluation import fit_cost


def tiny():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def test_every_optimizer_has_a_row_that_is_printed_and_written(
    tmp_path, capsys
):
    rows = evaluation.benchmark_fit(
        str(tmp_path),
        rule_names=("sgdm",),
        models=(tiny,),
        steps=2,
        repeats=2,
    )
    adam, sgdm = rows
    assert [row["model"] for row in rows] == ["tiny"] * 2
    assert [row["weights"] for row in rows] == [8] * 2
    assert [row["optimizer"] for row in rows] == ["keras_adam", "sgdm"]
    assert adam["times_adam"] == 1.0 and adam["ms_of_step"] is None
    assert sgdm["ms_of_fit"] > 0.0 and sgdm["ms_of_step"] > 0.0
    expected = sgdm["ms_of_step"] / sgdm["ms_of_fit"]
    assert sgdm["share_of_step"] == pytest.approx(expected)
    assert sgdm["first_seconds"] > 2 * sgdm["ms_of_fit"] / 1e3  # It compiles.
    written = json.loads((tmp_path / "fit_cost.json").read_text())
    assert written["rows"] == rows
    assert capsys.readouterr().out.count("\n") == 4


def test_the_convnets_have_a_million_weights():
    assert fit_cost.convnet().count_params() == 985_426
    assert fit_cost.deep_convnet().count_params() == 1_063_146


@pytest.mark.parametrize(
    "argument, value", [("steps", 1), ("steps", 0), ("repeats", 0)]
)
def test_too_few_steps_or_repeats_are_refused(tmp_path, argument, value):
    with pytest.raises(ValueError, match=f"`{argument}` must be an integer"):
        evaluation.benchmark_fit(str(tmp_path), **{argument: value})
    assert not list(tmp_path.iterdir())

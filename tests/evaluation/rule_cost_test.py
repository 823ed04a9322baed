"""The benchmark of steps, on tiny tensors."""

import json
import math

import pytest

from keras_lopt import evaluation
from keras_lopt.evaluation import rule_cost


def test_every_optimizer_has_a_row_that_is_printed_and_written(
    tmp_path, capsys
):
    rows = evaluation.benchmark_step(
        str(tmp_path),
        rule_names=("sgd",),
        tensors=("dense", "conv"),
        sizes=(100,),
        repeats=2,
    )
    found = [(row["tensors"], row["rule"]) for row in rows]
    names = ("keras_adam", "sgd")
    assert found == [(k, name) for k in ("dense", "conv") for name in names]
    for row in rows:
        assert row["parameters"] == sum(map(math.prod, row["shapes"]))
        assert row["ns_per_parameter"] > 0.0 and row["compile_seconds"] > 0.0
        assert (row["times_adam"] == 1.0) == (row["rule"] == "keras_adam")
    written = json.loads((tmp_path / "step_cost.json").read_text())
    assert len(written["rows"]) == len(rows)
    assert capsys.readouterr().out.count("\n") == len(rows) + 2


@pytest.mark.parametrize("size", [10**4, 10**6, 10**7])
@pytest.mark.parametrize("kind", rule_cost.TENSORS)
def test_tensors_have_about_the_requested_size(kind, size):
    found = sum(map(math.prod, rule_cost.TENSORS[kind](size)))
    assert found == pytest.approx(size, rel=0.05)


def test_temporary_buffers_are_read_from_a_dump(tmp_path):
    path = tmp_path / "m.buffer-assignment.txt"
    path.write_text(
        "allocation 0: size 40, parameter 0, shape |f32[10]| at ...\n"
        "allocation 7: size 72, preallocated-temp:\n"
    )
    assert rule_cost._temporary(path) == 72


def test_unknown_tensors_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`tensors` must be among.*'convex'"):
        evaluation.benchmark_step(str(tmp_path), tensors=("convex",))

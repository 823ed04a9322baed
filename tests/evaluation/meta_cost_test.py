"""The benchmark of meta-training, on a tiny task."""

import functools
import json

import pytest

from keras_lopt import estimators, evaluation, tasks
from keras_lopt.evaluation import meta_cost

TASK = functools.partial(tasks.digits_mlp, size=4, hidden=(2,), batch_size=2)


def test_measures_and_writes_a_row_of_each(tmp_path, capsys):
    (row,) = evaluation.benchmark_meta(
        str(tmp_path),
        tasks=(TASK,),
        rule_names=("sgdm",),
        estimator=estimators.ES(pairs=1, horizon=3),
        replicas=(1,),
        repeats=2,
    )
    assert row["inner_steps"] == 2 * 3
    assert row["steps_per_cpu_second"] > 0.0
    shares = [row[f"share_of_{part}"] for part in meta_cost.PARTS]
    assert sum(shares) == pytest.approx(1.0, abs=0.5)  # Medians of few.
    assert row["share_of_gradient"] > 0.0
    written = json.loads((tmp_path / "meta_cost.json").read_text())
    assert written["rows"] == [row]
    assert capsys.readouterr().out.count("\n") == 3


def test_refuses_replicas_without_a_core_each(tmp_path):
    with pytest.raises(ValueError, match="`replicas` must have 1 or .*64"):
        evaluation.benchmark_meta(str(tmp_path), tasks=(TASK,), replicas=(64,))

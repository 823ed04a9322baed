"""The benchmark of meta-training, on a tiny task."""

import functools
import json
from unittest import mock

import pytest

from keras_lopt import estimators, evaluation, tasks
from keras_lopt.evaluation import meta_cost

TASK = functools.partial(tasks.digits_mlp, size=4, hidden=(2,), batch_size=2)


@pytest.fixture
def row(tmp_path, capsys):
    """Callable: number of cores -> the row that was measured and written."""

    def measure(cores):
        name = "keras_lopt.training.devices.replicas.num_cores"
        with mock.patch(name, lambda: cores):
            return _measured(tmp_path, capsys)

    return measure


def _measured(tmp_path, capsys):
    (row,) = evaluation.benchmark_meta(
        str(tmp_path),
        tasks=(TASK,),
        rule_names=("sgdm",),
        estimator=estimators.ES(pairs=1, horizon=3),
        repeats=2,
    )
    assert row["inner_steps"] == 2 * 3
    assert row["steps_per_cpu_second"] > 0.0
    written = json.loads((tmp_path / "meta_cost.json").read_text())
    assert written["rows"] == [row]
    assert capsys.readouterr().out.count("\n") == 3
    return row


def test_one_core_has_shares_of_its_time(row):
    row = row(1)
    assert row["cores"] == 1
    shares = [row[f"share_of_{part}"] for part in meta_cost.PARTS]
    assert sum(shares) == pytest.approx(1.0, abs=0.5)  # Medians of few.
    assert row["share_of_gradient"] > 0.0


def test_several_cores_have_no_shares(row):
    row = row(2)
    assert row["cores"] == 2
    assert row["share_of_gradient"] is None

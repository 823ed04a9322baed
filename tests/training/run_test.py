"""`training.run`: the files of a run, and how it continues."""

import csv
import importlib
import json

import keras
import numpy as np
import pytest

from keras_lopt import checkpoints, training
from keras_lopt.training.output import callbacks
from tests import tiny
from tests.benchmarks.kill_and_resume import differences

FILES = {
    "best.safetensors",
    "checkpoints",
    "config.gin",
    "experiment.json",
    "history.csv",
    "manifest.json",
    "members.csv",
    "operative_config.gin",
    "tensorboard",
}


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a run of 3 generations."""
    out_dir = tmp_path_factory.mktemp("runs") / "finished"
    tiny.run(out_dir)
    return out_dir


def test_a_run_writes_all_its_files(finished):
    assert {path.name for path in finished.iterdir()} == FILES
    assert len(rows(finished / "history.csv")) == 4
    assert len(rows(finished / "members.csv")) == 3 * 4


def test_the_history_file_is_the_trainers_history(tmp_path):
    trainer = tiny.run(tmp_path, generations=1)
    found = rows(tmp_path / "history.csv")
    assert found == [
        {key: str(value) for key, value in row.items()}
        for row in trainer.history
    ]


def test_the_best_file_holds_the_best_member_and_its_provenance(tmp_path):
    trainer = tiny.run(tmp_path, generations=2)
    rule, theta, metadata = checkpoints.load(tmp_path)
    assert rule == tiny.RULE
    for leaf, value in trainer.best_theta().items():
        np.testing.assert_array_equal(theta[leaf], value)
    described = json.dumps(trainer.experiment.describe())
    assert metadata["experiment"] == json.loads(described)
    assert metadata["score"] == trainer.members.scores.min()
    assert 0 <= metadata["generation"] <= 2
    assert metadata["outer_step"] == metadata["generation"]
    assert metadata["trained_by"].startswith("keras_lopt ")


def test_the_best_file_loads_after_every_generation(tmp_path, monkeypatch):
    loaded = []

    class Load(keras.callbacks.Callback):
        def __init__(self, seconds):
            super().__init__()

        def on_epoch_end(self, epoch, logs=None):
            _, theta, metadata = checkpoints.load(tmp_path)
            loaded.append(metadata["generation"] <= epoch)
            packed = self.model.experiment.theta_vector.pack(theta)
            best = self.model.members.best
            np.testing.assert_array_equal(
                packed, self.model.members.thetas[best]
            )

    module = importlib.import_module("keras_lopt.training.run")
    monkeypatch.setattr(module, "Progress", Load)  # The last callback.
    tiny.run(tmp_path, generations=5)
    assert loaded == [True] * 6


def test_more_generations_continue_a_run(tmp_path, capsys):
    tiny.run(tmp_path / "parts", generations=2)
    capsys.readouterr()
    trainer = tiny.run(tmp_path / "parts", generations=5)
    assert "continues after generation 2" in capsys.readouterr().out
    assert trainer.generation == 5
    tiny.run(tmp_path / "whole", generations=5)
    assert differences(tmp_path / "parts", tmp_path / "whole") == []


def test_a_finished_run_stays_as_it_is(tmp_path):
    tiny.run(tmp_path, generations=2)
    names = ("history.csv", "members.csv", "best.safetensors")
    before = {name: tiny.contents(tmp_path)[name] for name in names}
    assert tiny.run(tmp_path, generations=2) is None  # Nothing is left to do.
    assert {name: tiny.contents(tmp_path)[name] for name in names} == before


@pytest.mark.parametrize(
    "callback", ["CSVHistory", "TensorBoard", "BestMember", "Checkpoint"]
)
def test_a_run_that_died_in_a_callback_continues(
    tmp_path, monkeypatch, finished, callback
):
    original = getattr(callbacks, callback)

    class Dies(original):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt
            super().on_epoch_end(epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, callback, Dies)
        with pytest.raises(KeyboardInterrupt):
            tiny.run(tmp_path / "died")
    tiny.run(tmp_path / "died")
    assert differences(tmp_path / "died", finished) == []


@pytest.mark.parametrize("callback", ["CSVHistory", "Checkpoint"])
def test_a_run_that_died_before_its_first_checkpoint_starts_again(
    tmp_path, monkeypatch, finished, callback
):
    class Dies(keras.callbacks.Callback):
        def __init__(self, *args):
            super().__init__()

        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, callback, Dies)
        with pytest.raises(KeyboardInterrupt):
            tiny.run(tmp_path / "died")
    tiny.run(tmp_path / "died")
    assert differences(tmp_path / "died", finished) == []


REFUSED = {
    "resume": ({"resume": "bad"}, '`resume` must be "auto" or "never"'),
    "strategy": ({"strategy": "cpus"}, "`strategy` must be one of"),
    "population": (
        {"schedule": training.Schedule(population=6)},
        "`population` must be 1 or such that",
    ),
    "generations": ({"generations": -1}, "`generations` must be an integer"),
    "fraction of a generation": (
        {"generations": 2.5},
        "`generations` must be an integer",
    ),
    "seed": ({"seed": "3"}, "`seed` must be an integer in .*seed='3'"),
    "large seed": ({"seed": 2**31}, "`seed` must be an integer in"),
    "seconds": ({"seconds": float("nan")}, "`seconds` must be a finite.*=nan"),
    "snapshots": (
        {"snapshot_minutes": 0.0},
        "`snapshot_minutes` must be a finite number in",
    ),
    "no time": ({"seconds": "1 h"}, "`seconds` must be a finite.*='1 h'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_writes_nothing(tmp_path, case):
    settings, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        tiny.run(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_moves_nothing(tmp_path, case):
    settings, message = REFUSED[case]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_text("{}")
    before = tiny.contents(tmp_path)
    with pytest.raises(ValueError, match=message):
        tiny.run(tmp_path / "run", **{"resume": "never", **settings})
    assert tiny.contents(tmp_path) == before


@pytest.mark.parametrize(
    "experiment", ["mine", lambda seed: seed, tiny.experiment()]
)
def test_refuses_what_makes_no_experiment(tmp_path, experiment):
    """An experiment that is made already would not get the run's seed."""
    with pytest.raises(ValueError) as caught:
        training.run(
            str(tmp_path / "run"),
            "cpu",
            experiment=experiment,
            generations=1,
            seed=7,
        )
    assert str(caught.value).startswith(
        "`experiment` must be a function of `seed` that returns a "
        f"`training.Experiment`. Received: experiment={experiment!r}; "
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", [0, 7])
def test_the_experiment_gets_the_seed_of_the_run(tmp_path, seed):
    trainer = tiny.run(tmp_path, generations=0, seed=seed)
    assert trainer.experiment.seed == seed
    described = json.loads((tmp_path / "experiment.json").read_text())
    assert described["seed"] == seed


def test_a_run_out_of_time_stays_ended_until_more_is_allowed(tmp_path):
    assert tiny.run(tmp_path, generations=9, seconds=0.0).generation == 0
    assert tiny.run(tmp_path, generations=9, seconds=0.0).generation == 0
    assert tiny.run(tmp_path, generations=2).generation == 2


def test_the_summary_has_speed_and_share_of_compilation(tmp_path, capsys):
    trainer = tiny.run(tmp_path, generations=1)
    out = capsys.readouterr().out
    assert (
        "digits4x4_mlp_16-2-10, rule fused, 4 members, 1 replicas with" in out
    )
    assert f"compiled in {trainer.compile_seconds:.1f} s" in out
    (last,) = (li for li in out.splitlines() if li.startswith("best score"))
    best = trainer.history[-1]["best_score"]
    assert last.startswith(f"best score {best:.4f} after 1 outer steps; ")
    assert "inner steps/s; " in last
    assert last.endswith("%) were compilation")


def test_the_summary_names_the_files_and_the_next_command(tmp_path, capsys):
    tiny.run(tmp_path, generations=0)
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(f"In {tmp_path}:")
    for line in lines[start + 1 : start + 4]:
        assert (tmp_path / line.split()[0]).exists()
    assert lines[-1].startswith("  keras-lopt evaluate --gin_file=")
    assert lines[-1].endswith(f"--out_dir={tmp_path}/report")

"""`training.run`: the files of a run, and whose folder it is."""

import csv
import json

import keras
import numpy as np
import pytest

from keras_lopt import checkpoints, training
from keras_lopt.population import NoSelection
from keras_lopt.training import callbacks
from keras_lopt.training.run import describe
from tests import tiny
from tests.benchmarks.kill_and_resume import differences

FILES = {
    "best.safetensors",
    "checkpoints",
    "config.gin",
    "experiment.json",
    "history.csv",
    "members.csv",
    "operative_config.gin",
    "tensorboard",
}


def run(out_dir, generations=3, resume="auto", **changes):
    settings = {
        "strategy": "cpu",
        "task": tiny.task,
        "rule": tiny.RULE,
        "estimator": tiny.ESTIMATOR,
        "schedule": tiny.SCHEDULE,
    }
    with tiny.sharing_programs():
        return training.run(
            str(out_dir),
            resume=resume,
            generations=generations,
            **{**settings, **changes},
        )


def contents(folder):
    """Dict of path -> bytes of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a run of 3 generations."""
    out_dir = tmp_path_factory.mktemp("runs") / "finished"
    run(out_dir)
    return out_dir


def test_files_of_a_run(finished):
    assert {path.name for path in finished.iterdir()} == FILES
    assert len(rows(finished / "history.csv")) == 4
    assert len(rows(finished / "members.csv")) == 3 * 4


def test_history_is_the_trainers(tmp_path):
    trainer = run(tmp_path, generations=1)
    found = rows(tmp_path / "history.csv")
    assert found == [
        {key: str(value) for key, value in row.items()}
        for row in trainer.history
    ]


def test_best_file_is_the_best_member_and_says_where_it_comes_from(tmp_path):
    trainer = run(tmp_path, generations=2)
    rule, theta, metadata = checkpoints.load(tmp_path)
    assert rule == tiny.RULE
    for leaf, value in trainer.best_theta().items():
        np.testing.assert_array_equal(theta[leaf], value)
    assert metadata["experiment"] == json.loads(json.dumps(describe(trainer)))
    assert metadata["score"] == trainer.members.scores.min()
    assert 0 <= metadata["generation"] <= 2
    assert metadata["outer_step"] == metadata["generation"]
    assert metadata["trained_by"].startswith("keras_lopt ")


def test_best_file_loads_at_any_time(tmp_path, monkeypatch):
    loaded = []

    class Load(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            _, theta, metadata = checkpoints.load(tmp_path)
            loaded.append(metadata["generation"] <= epoch)
            packed = self.model.theta_vector.pack(theta)
            best = self.model.members.best
            np.testing.assert_array_equal(
                packed, self.model.members.thetas[best]
            )

    monkeypatch.setattr(callbacks, "Progress", Load)  # The last of them.
    run(tmp_path, generations=5)
    assert loaded == [True] * 6


def test_more_generations_continue_a_run(tmp_path, capsys):
    run(tmp_path / "parts", generations=2)
    capsys.readouterr()
    trainer = run(tmp_path / "parts", generations=5)
    assert "continues after generation 2" in capsys.readouterr().out
    assert trainer.generation == 5
    run(tmp_path / "whole", generations=5)
    assert differences(tmp_path / "parts", tmp_path / "whole") == []


def test_a_finished_run_stays_as_it_is(tmp_path):
    run(tmp_path, generations=2)
    names = ("history.csv", "members.csv", "best.safetensors")
    before = {name: contents(tmp_path)[name] for name in names}
    assert run(tmp_path, generations=2) is None  # Nothing was left to do.
    assert {name: contents(tmp_path)[name] for name in names} == before


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
            run(tmp_path / "died")
    run(tmp_path / "died")
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
            run(tmp_path / "died")
    run(tmp_path / "died")
    assert differences(tmp_path / "died", finished) == []


OTHERS = {
    "seed": {"seed": 1},
    "rule": {"rule": tiny.rules.get("fused", hidden_units=2)},
    "task": {"task": lambda: tiny.tasks.wine_mlp(hidden=(2,))},
    "estimator": {"estimator": tiny.estimators.PES(pairs=2, horizon=40)},
    "schedule": {"schedule": training.Schedule(population=4)},
    "selection": {"selection": NoSelection()},
}


@pytest.mark.parametrize("differs", OTHERS)
def test_refuses_another_experiments_folder(finished, differs):
    before = contents(finished)
    with pytest.raises(ValueError) as caught:
        run(finished, **OTHERS[differs])
    message = str(caught.value)
    assert message.startswith(
        f"`out_dir` {str(finished)!r} has the state of another experiment: "
        f"[{differs!r}] differ. Nothing was written."
    )
    assert "--resume=never" in message
    assert contents(finished) == before


def test_refuses_checkpoints_of_nobody_knows_what(tmp_path, finished):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for path in (finished / "checkpoints").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="another experiment"):
        run(tmp_path)
    assert contents(tmp_path) == before


def test_resume_never_keeps_the_old_state_beside(tmp_path, capsys):
    out_dir = tmp_path / "mine"
    run(out_dir, generations=1)
    first = contents(out_dir)
    run(out_dir, generations=1, resume="never", seed=1)
    second = contents(out_dir)
    old = tmp_path / "mine.old-1"
    assert contents(old) == first
    assert f"the earlier state is kept in {old}" in capsys.readouterr().out
    assert second["best.safetensors"] != first["best.safetensors"]
    run(f"{out_dir}/", generations=1, resume="never", seed=1)
    assert contents(old) == first
    assert contents(tmp_path / "mine.old-2") == second
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("mine", "mine.old-1", "mine.old-2")
    ]


@pytest.mark.parametrize("exists", [False, True])
def test_resume_never_in_an_empty_folder(tmp_path, exists):
    out_dir = tmp_path / "new"
    if exists:
        out_dir.mkdir()
    run(out_dir, generations=0, resume="never")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


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
    "no time": ({"seconds": "1 h"}, "`seconds` must be a finite.*='1 h'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_writes_nothing(tmp_path, case):
    settings, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_moves_nothing(tmp_path, case):
    settings, message = REFUSED[case]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_text("{}")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", **{"resume": "never", **settings})
    assert contents(tmp_path) == before


def test_seconds_end_a_run_for_good(tmp_path):
    assert run(tmp_path, generations=9, seconds=0.0).generation == 0
    assert run(tmp_path, generations=9, seconds=0.0).generation == 0
    assert run(tmp_path, generations=2).generation == 2


def test_summary_says_speed_and_share_of_compilation(tmp_path, capsys):
    trainer = run(tmp_path, generations=1)
    out = capsys.readouterr().out
    assert (
        "digits4x4_mlp_16-2-10, rule fused, 4 members, 1 replicas with" in out
    )
    assert f"compiled in {trainer.compile_seconds:.1f} s" in out
    last = out.splitlines()[-1]
    best = trainer.history[-1]["best_score"]
    assert last.startswith(f"best score {best:.4f} after 1 outer steps; ")
    assert "inner steps/s; " in last
    assert last.endswith("%) were compilation")

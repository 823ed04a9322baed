"""Whose folder it is: a run claims it, or refuses and leaves it alone."""

import pytest

from keras_lopt import estimators, rules, tasks, training
from keras_lopt.population import NoMutation, NoSelection, SelfTraining
from tests import tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a run of one generation."""
    out_dir = tmp_path_factory.mktemp("runs") / "finished"
    tiny.run(out_dir, generations=1)
    return out_dir


OTHERS = {
    "seed": {"seed": 1},
    "rule": {"rule": rules.get("fused", hidden_units=2)},
    "task": {"task": lambda: tasks.wine_mlp(hidden=(2,))},
    "estimator": {"estimator": estimators.PES(pairs=2, horizon=40)},
    "schedule": {"schedule": training.Schedule(population=4)},
    "teachers": {"teachers": SelfTraining()},
    "selection": {"selection": NoSelection()},
    "mutation": {"mutation": NoMutation()},
}


@pytest.mark.parametrize("differs", OTHERS)
def test_refuses_another_experiments_folder(finished, differs):
    before = tiny.contents(finished)
    with pytest.raises(ValueError) as caught:
        tiny.run(finished, **OTHERS[differs])
    message = str(caught.value)
    assert message.startswith(
        f"`out_dir` {str(finished)!r} has the state of another experiment: "
        f"[{differs!r}] differ. Nothing was written."
    )
    assert "--resume=never" in message
    assert tiny.contents(finished) == before


def test_refuses_checkpoints_of_an_unknown_experiment(tmp_path, finished):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for path in (finished / "checkpoints").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    before = tiny.contents(tmp_path)
    with pytest.raises(ValueError, match="another experiment"):
        tiny.run(tmp_path)
    assert tiny.contents(tmp_path) == before


def test_resume_never_keeps_the_old_state_beside(tmp_path, capsys):
    out_dir = tmp_path / "mine"
    tiny.run(out_dir, generations=1)
    first = tiny.contents(out_dir)
    tiny.run(out_dir, generations=1, resume="never", seed=1)
    second = tiny.contents(out_dir)
    old = tmp_path / "mine.old-1"
    assert tiny.contents(old) == first
    assert f"the earlier state is kept in {old}" in capsys.readouterr().out
    assert second["best.safetensors"] != first["best.safetensors"]
    tiny.run(f"{out_dir}/", generations=1, resume="never", seed=1)
    assert tiny.contents(old) == first
    assert tiny.contents(tmp_path / "mine.old-2") == second
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("mine", "mine.old-1", "mine.old-2")
    ]


@pytest.mark.parametrize("exists", [False, True])
def test_resume_never_sets_aside_no_empty_folder(tmp_path, exists):
    out_dir = tmp_path / "new"
    if exists:
        out_dir.mkdir()
    tiny.run(out_dir, generations=0, resume="never")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]

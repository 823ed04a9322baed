"""Damaged files of a run: repaired and said, or refused with one message."""

import contextlib
import pathlib
import shutil
import socket
import warnings

import pytest
import tensorflow as tf

from keras_lopt import training
from keras_lopt.training.output import files, lock
from tests import tiny
from tests.benchmarks.kill_and_resume import differences

DONE, TOTAL = 3, 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a run that nothing happened to."""
    out_dir = tmp_path_factory.mktemp("whole") / "run"
    tiny.run(out_dir, generations=TOTAL)
    return out_dir


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folders after generation 2, and after 3: what is damaged."""
    out_dir = tmp_path_factory.mktemp("done") / "run"
    tiny.run(out_dir, generations=DONE - 1)
    older = out_dir.parent / "older"
    shutil.copytree(out_dir, older)
    tiny.run(out_dir, generations=DONE)
    return older, out_dir


def flip(path, older):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(content)


def replace(path, older):
    path.write_bytes(older.read_bytes())


def replace_checkpoint(path, older):
    for old in older.parent.glob("ckpt-2.*"):
        new = path.parent / old.name.replace("ckpt-2", "ckpt-3")
        new.write_bytes(old.read_bytes())


DAMAGES = {
    "missing": lambda path, older: path.unlink(),
    "emptied": lambda path, older: path.write_bytes(b""),
    "cut": lambda path, older: path.write_bytes(path.read_bytes()[:-7]),
    "flipped": flip,
    "older": replace,
}
RESULTS = ("best.safetensors", "history.csv", "members.csv")
CHECKPOINT = (
    "checkpoints/ckpt-3.index",
    "checkpoints/ckpt-3.data-00000-of-00001",
)
UNCHANGED = {("best.safetensors", "older")}
CASES = [
    (name, damage)
    for name in (*RESULTS, *CHECKPOINT)
    for damage in DAMAGES
    if not (name in CHECKPOINT and damage == "older")
]


@pytest.fixture
def resumed(tmp_path, done, whole, capsys):
    """Callable: damages a copy, resumes it, returns what was said."""

    def resume(name, damage):
        older, newest = done
        out_dir = tmp_path / "run"
        shutil.copytree(newest, out_dir)
        damage(out_dir / name, older / name)
        capsys.readouterr()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tiny.run(out_dir, generations=TOTAL)
        assert differences(out_dir, whole) == []
        best = "best.safetensors"
        assert (out_dir / best).read_bytes() == (whole / best).read_bytes()
        said = [str(warning.message) for warning in caught]
        return said + capsys.readouterr().out.splitlines()

    return resume


@pytest.mark.parametrize("name, damage", CASES)
def test_a_damaged_file_is_repaired_and_that_is_said(resumed, name, damage):
    said = resumed(name, DAMAGES[damage])
    what = "ckpt-3" if name in CHECKPOINT else name
    repairs = [line for line in said if what in line]
    if (name, damage) not in UNCHANGED:
        assert len(repairs) >= 1, said
    if name == "checkpoints/ckpt-3.index" and damage == "missing":
        return
    assert all("\n" not in line for line in repairs)


@pytest.mark.parametrize("name", ["config.gin", "operative_config.gin"])
def test_a_changed_configuration_is_said(resumed, name):
    said = resumed(name, lambda path, older: path.write_text("# mine"))
    assert f"{name} was changed or damaged: it is written anew" in said


def test_a_checkpoint_replaced_by_an_older_one_is_said(resumed):
    said = resumed(CHECKPOINT[0], replace_checkpoint)
    assert any("ckpt-3 is skipped" in line for line in said)


def test_the_manifest_and_its_loss_change_nothing(resumed):
    resumed("manifest.json", DAMAGES["emptied"])


def test_a_torn_experiment_is_refused_and_that_is_said(tmp_path, done):
    out_dir = tmp_path / "run"
    shutil.copytree(done[1], out_dir)
    DAMAGES["cut"](out_dir / "experiment.json", None)
    before = tiny.contents(out_dir)
    with pytest.raises(ValueError, match="experiment.json is missing or dam"):
        tiny.run(out_dir, generations=TOTAL)
    assert tiny.contents(out_dir) == before


def test_checkpoints_that_are_a_file_are_refused(tmp_path):
    (tmp_path / "checkpoints").write_text("mine")
    with pytest.raises(ValueError, match="checkpoints.*which is a file"):
        tiny.run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoints"]


class Disturb:
    """Calls a function after a generation, instead of `KeepLock`."""

    def __init__(self, monkeypatch, function):
        check = lock.FolderLock.check

        def disturbed(own):
            if (
                own.is_held()
                and (pathlib.Path(own._folder) / "history.csv").exists()
            ):
                function(own._folder)
            check(own)

        monkeypatch.setattr(lock.FolderLock, "check", disturbed)


def test_a_folder_that_is_deleted_ends_training(tmp_path, monkeypatch):
    Disturb(monkeypatch, shutil.rmtree)
    with pytest.raises(OSError, match="`out_dir` must stay .*was deleted"):
        tiny.run(tmp_path / "run")


def test_a_full_disk_is_one_message(tmp_path, done, whole, monkeypatch):
    out_dir = tmp_path / "run"
    shutil.copytree(done[1], out_dir)

    def full(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.CheckpointManager, "save", full)
        with pytest.raises(OSError, match="checkpoints can't be written.*No s"):
            tiny.run(out_dir, generations=TOTAL)
    assert not (out_dir / lock.NAME).exists()
    tiny.run(out_dir, generations=TOTAL)
    assert differences(out_dir, whole) == []


def test_a_second_trainer_is_refused(tmp_path):
    out_dir = tmp_path / "run"
    out_dir.mkdir()
    own = lock.FolderLock(str(out_dir))
    own.acquire()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(own.release)
        before = tiny.contents(out_dir)
        with pytest.raises(ValueError, match="must have one trainer.*process"):
            tiny.run(out_dir)
        assert tiny.contents(out_dir) == before
    assert not (out_dir / lock.NAME).exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"host": "HOST", "pid": 999999999, "started": "1", "token": "x"}',
        '{"host": "HOST", "pid": 1, "started": "earlier", "token": "x"}',
    ],
)
def test_a_stale_lock_is_taken_over(tmp_path, content, capsys):
    content = content.replace("HOST", socket.gethostname())
    (tmp_path / lock.NAME).write_text(content)
    own = lock.FolderLock(str(tmp_path))
    own.acquire()
    assert own.is_held()
    own.release()
    assert "took over the lock" in capsys.readouterr().out


@pytest.mark.parametrize("alive", [False, True])
def test_a_lock_of_another_host_lives_if_it_counts(
    tmp_path, monkeypatch, alive
):
    path = tmp_path / lock.NAME
    text = '{"host": "far", "pid": 1, "token": "x", "beats": 1}'
    path.write_text(text)

    def sleep(seconds):
        if alive:
            path.write_text(text.replace('"beats": 1', '"beats": 2'))

    monkeypatch.setattr(lock.time, "sleep", sleep)
    own = lock.FolderLock(str(tmp_path))
    if alive:
        with pytest.raises(ValueError, match="process 1 on host far"):
            own.acquire()
    else:
        own.acquire()
        own.release()


def test_a_run_in_a_bucket(whole):
    """All that training writes goes through tf.io.gfile."""
    out_dir = "ram://faults/run"
    for generations in (2, TOTAL):
        trainer = tiny.run(out_dir, generations=generations)
    assert isinstance(trainer, training.PopulationTrainer)
    for name in ("members.csv", "best.safetensors", "experiment.json"):
        expected = (whole / name).read_bytes()
        assert files.read(files.join(out_dir, name)) == expected
    assert "manifest.json" in files.names(out_dir)
    assert not pathlib.Path("ram:").exists()

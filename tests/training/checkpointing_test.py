"""Checkpoints: bit for bit, and the newest intact one."""

import os
import pathlib
import warnings

import keras
import numpy as np
import pytest

from keras_lopt.training import TrainingCheckpoint
from tests import tiny


class FakeTrainer:
    """What `TrainingCheckpoint` needs of a trainer."""

    def __init__(self, size=6):
        self.generation = 0
        self.history = []
        self.size = size
        self.restored = 0

    def train_to(self, generation):
        self.generation = generation
        self.history = [{"generation": g} for g in range(generation + 1)]

    def get_state(self):
        rng = np.random.default_rng(self.generation)
        values = rng.normal(size=self.size).astype(np.float32)
        values[:3] = np.nan, np.inf, -np.inf
        return {
            "generation": np.int64(self.generation),
            "members": {"thetas": values, "ids": np.arange(4) * 2**40},
            "nested": [(np.float64(0.1), np.int32([[1], [2]])), np.bool_(True)],
        }

    def set_state(self, state, history):
        self.generation = int(state["generation"])
        self.history = history
        self.restored += 1
        assert tiny.leaves(state) == tiny.leaves(self.get_state())


def saved(folder, generations, **settings):
    """Checkpoints of a `FakeTrainer` after these generations."""
    trainer = FakeTrainer()
    checkpoint = TrainingCheckpoint(trainer, str(folder), **settings)
    for generation in generations:
        trainer.train_to(generation)
        checkpoint.save()
    return trainer


def restored(folder):
    """A new trainer, as the checkpoints in `folder` make it."""
    trainer = FakeTrainer()
    assert TrainingCheckpoint(trainer, str(folder)).restore()
    return trainer


def data_file(folder, generation):
    return folder / f"ckpt-{generation}.data-00000-of-00001"


def index_file(folder, generation):
    return folder / f"ckpt-{generation}.index"


def truncate(path, share):
    os.truncate(path, int(path.stat().st_size * share))


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


TEARS = {
    "data cut in half": lambda f, g: truncate(data_file(f, g), 0.5),
    "data cut at the end": lambda f, g: truncate(data_file(f, g), 0.99),
    "data empty": lambda f, g: truncate(data_file(f, g), 0.0),
    "data deleted": lambda f, g: data_file(f, g).unlink(),
    "data altered": lambda f, g: flip_a_byte(data_file(f, g)),
    "index cut in half": lambda f, g: truncate(index_file(f, g), 0.5),
    "index cut at the end": lambda f, g: truncate(index_file(f, g), 0.99),
    "index empty": lambda f, g: truncate(index_file(f, g), 0.0),
    "index altered": lambda f, g: flip_a_byte(index_file(f, g)),
}
tears = pytest.mark.parametrize("tear", TEARS.values(), ids=TEARS)


def test_nothing_there(tmp_path):
    trainer = FakeTrainer()
    checkpoint = TrainingCheckpoint(trainer, str(tmp_path / "none"))
    assert not checkpoint.exists()
    assert checkpoint.restore() is False
    assert not trainer.restored


def test_restores_the_newest_bit_for_bit(tmp_path):
    before = saved(tmp_path, [1, 2, 3])
    after = restored(tmp_path)  # `set_state` compares the arrays.
    assert after.generation == 3
    assert after.history == before.history


def test_the_newest_is_the_one_with_the_highest_number(tmp_path):
    saved(tmp_path, [8, 9, 10, 11])
    assert restored(tmp_path).generation == 11


def test_keeps_as_many_as_told(tmp_path):
    saved(tmp_path, range(6), keep=2)
    kept = sorted(path.name for path in tmp_path.glob("*.index"))
    assert kept == ["ckpt-4.index", "ckpt-5.index"]


@pytest.mark.parametrize("name", ["a b", "*", "ünï"])
def test_folder_names_are_taken_as_they_are(tmp_path, name):
    folder = tmp_path / name
    saved(folder, [1, 2])
    assert restored(folder).generation == 2


def test_other_files_are_no_checkpoints(tmp_path):
    saved(tmp_path, [1])
    for name in ("best.index", "ckpt-2.index.tmp", "ckpt-x.index"):
        (tmp_path / name).write_text("not a checkpoint")
    (tmp_path / "ckpt-2_temp").mkdir()
    assert restored(tmp_path).generation == 1


@tears
def test_a_torn_newest_one_is_skipped_with_a_warning(tmp_path, tear):
    saved(tmp_path, [4, 5, 6])
    tear(tmp_path, 6)
    with pytest.warns(UserWarning) as caught:
        trainer = restored(tmp_path)
    assert trainer.generation == 5
    assert trainer.history == [{"generation": g} for g in range(6)]
    (warning,) = caught
    start = f"Checkpoint {tmp_path / 'ckpt-6'} is skipped, it can't be read: "
    assert str(warning.message).startswith(start)
    assert "\n" not in str(warning.message)


def test_two_torn_ones_are_skipped(tmp_path):
    saved(tmp_path, [4, 5, 6])
    truncate(data_file(tmp_path, 6), 0.3)
    truncate(index_file(tmp_path, 5), 0.3)
    with pytest.warns(UserWarning, match="is skipped") as caught:
        trainer = restored(tmp_path)
    assert trainer.generation == 4
    assert len(caught) == 2


@tears
def test_no_intact_one_is_an_error(tmp_path, tear):
    saved(tmp_path, [1, 2])
    for generation in (1, 2):
        tear(tmp_path, generation)
    trainer = FakeTrainer()
    checkpoint = TrainingCheckpoint(trainer, str(tmp_path))
    assert checkpoint.exists()
    with (
        pytest.warns(UserWarning, match="is skipped"),
        pytest.raises(ValueError) as caught,
    ):
        checkpoint.restore()
    message = str(caught.value)
    assert message.startswith(f"`out_dir` has checkpoints in {tmp_path}, but")
    assert "['ckpt-2', 'ckpt-1']" in message
    assert "--resume=never" in message
    assert not trainer.restored


def test_goes_on_over_a_torn_one(tmp_path):
    saved(tmp_path, [1, 2, 3])
    truncate(data_file(tmp_path, 3), 0.5)
    trainer = FakeTrainer()
    checkpoint = TrainingCheckpoint(trainer, str(tmp_path))
    with pytest.warns(UserWarning, match="ckpt-3 is skipped"):
        checkpoint.restore()
    for generation in (3, 4):
        trainer.train_to(generation)
        checkpoint.save()
    with warnings.catch_warnings(action="error"):
        assert restored(tmp_path).generation == 4
    data_file(tmp_path, 4).unlink()
    with pytest.warns(UserWarning, match="ckpt-4 is skipped"):
        assert restored(tmp_path).generation == 3


def test_checkpoints_of_other_shapes_are_not_read(tmp_path):
    saved(tmp_path, [1])
    trainer = FakeTrainer(size=7)
    checkpoint = TrainingCheckpoint(trainer, str(tmp_path))
    with (
        pytest.warns(UserWarning, match="is skipped"),
        pytest.raises(ValueError, match="none can be read"),
    ):
        checkpoint.restore()
    assert not trainer.restored


def test_continues_from_every_generation_bit_for_bit(tmp_path):
    generations = 5
    whole = tiny.trainer()
    checkpoint = TrainingCheckpoint(whole, str(tmp_path), keep=100)
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: checkpoint.save()
    )
    whole.fit(generations, [save])
    history = tiny.without_clock(whole.history)
    for generation in reversed(range(generations + 1)):
        part = tiny.trainer()
        TrainingCheckpoint(part, str(tmp_path)).restore()
        assert part.generation == generation
        assert part.history == whole.history[: generation + 1]
        part.fit(generations)
        assert tiny.without_clock(part.history) == history
        assert tiny.leaves(part.get_state()) == tiny.leaves(whole.get_state())
        for path in pathlib.Path(tmp_path).glob(f"ckpt-{generation}.*"):
            path.unlink()


def test_state_is_a_copy_that_later_training_leaves_alone():
    trainer = tiny.trainer()
    trainer.fit(1)
    state, history = trainer.get_state(), list(trainer.history)
    before = tiny.leaves(state)
    trainer.fit(3)
    after = tiny.leaves(trainer.get_state())
    assert tiny.leaves(state) == before != after
    trainer.set_state(state, history)
    assert trainer.generation == 1
    trainer.fit(3)
    assert tiny.leaves(trainer.get_state()) == after

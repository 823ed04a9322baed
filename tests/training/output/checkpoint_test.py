"""Checkpoints: bit for bit, and the newest intact one."""

import os
import pathlib
import types
import warnings

import keras
import numpy as np
import pytest

from keras_lopt.population import Members
from keras_lopt.training import PopulationState, TrainingCheckpoint
from keras_lopt.training.devices import Workers
from tests import tiny


class FakeReplicas:
    """Replicas whose values are arrays already."""

    are_local, first = True, 0

    def gather(self, state):
        return state

    template = gather

    def scatter(self, state):
        return state


def history(generation):
    """As many rows as there are after so many generations."""
    exchange = {"exchanged_bytes": 0, "exchange_seconds": 0.0}
    return [{**exchange, "generation": g} for g in range(generation + 1)]


def state_of(generation, size=6):
    """A `PopulationState` of random and of odd values."""
    rng = np.random.default_rng(generation)
    values = rng.normal(size=size).astype(np.float32)
    values[:3] = np.nan, np.inf, -np.inf
    nested = [(np.float64(0.1), np.int32([[1], [2]])), np.bool_(True)]
    return PopulationState(
        generation=generation,
        seconds=0.5 * generation,
        members=Members.initial(
            values[:, None], {"nested": nested}, np.arange(size) * 2**40
        ),
        memory={"merits": rng.normal(size=3)},
        inner_states=[nested],
        task_steps=np.array([generation]),
        history=history(generation),
    )


class FakeTrainer:
    """What `TrainingCheckpoint` needs of a trainer."""

    def __init__(self, size=6):
        self.size = size
        self.state = self._begun = state_of(0, size)
        self.devices = types.SimpleNamespace(replicas=FakeReplicas())
        self.workers = Workers(FakeReplicas())

    def compile(self):
        pass

    def train_to(self, generation):
        self.state = state_of(generation, self.size)

    @property
    def generation(self):
        return self.state.generation

    @property
    def history(self):
        return self.state.history

    @property
    def was_restored(self):
        return self.state is not self._begun


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
    assert trainer.was_restored
    expected = state_of(trainer.generation).to_arrays(FakeReplicas())
    assert tiny.leaves(tiny.arrays(trainer)) == tiny.leaves(expected)
    assert trainer.state.seconds == 0.5 * trainer.generation
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


def test_an_empty_folder_has_nothing_to_restore(tmp_path):
    trainer = FakeTrainer()
    checkpoint = TrainingCheckpoint(trainer, str(tmp_path / "none"))
    assert not checkpoint.exists()
    assert checkpoint.restore() is False
    assert not trainer.was_restored


def test_restores_the_newest_bit_for_bit(tmp_path):
    before = saved(tmp_path, [1, 2, 3])
    after = restored(tmp_path)  # This compares the arrays.
    assert after.generation == 3
    assert after.history == before.history


def test_the_newest_is_the_one_with_the_highest_number(tmp_path):
    saved(tmp_path, [8, 9, 10, 11])
    assert restored(tmp_path).generation == 11


def test_keeps_only_the_newest(tmp_path):
    saved(tmp_path, range(6), keep=2)
    kept = sorted(path.name for path in tmp_path.glob("*.index"))
    assert kept == ["ckpt-4.index", "ckpt-5.index"]


@pytest.mark.parametrize("name", ["a b", "*", "ünï"])
def test_a_folder_may_have_any_name(tmp_path, name):
    folder = tmp_path / name
    saved(folder, [1, 2])
    assert restored(folder).generation == 2


def test_other_files_are_ignored(tmp_path):
    saved(tmp_path, [1])
    for name in ("best.index", "ckpt-2.index.tmp", "ckpt-x.index"):
        (tmp_path / name).write_text("not a checkpoint")
    (tmp_path / "ckpt-2_temp").mkdir()
    assert restored(tmp_path).generation == 1


@tears
def test_a_torn_checkpoint_is_skipped_with_a_warning(tmp_path, tear):
    saved(tmp_path, [4, 5, 6])
    tear(tmp_path, 6)
    with pytest.warns(UserWarning) as caught:
        trainer = restored(tmp_path)
    assert trainer.generation == 5
    assert trainer.history == history(5)
    (warning,) = caught
    start = f"Checkpoint {tmp_path / 'ckpt-6'} is skipped, it can't be read: "
    assert str(warning.message).startswith(start)
    assert "\n" not in str(warning.message)


def copy_checkpoint(folder, generation, number):
    """Copies the files of a checkpoint to those of another number."""
    for path in (index_file, data_file):
        content = path(folder, generation).read_bytes()
        path(folder, number).write_bytes(content)


@pytest.mark.parametrize("kind", ["empty", "copied"])
def test_a_checkpoint_that_is_none_counts_for_nothing(tmp_path, kind):
    saved(tmp_path, [4, 5])
    if kind == "copied":
        copy_checkpoint(tmp_path, 5, 99)
    else:
        index_file(tmp_path, 99).touch()
    checkpoint = TrainingCheckpoint(FakeTrainer(), str(tmp_path))
    with pytest.warns(UserWarning, match="ckpt-99 is skipped"):
        assert checkpoint.generation() == 5
    with pytest.warns(UserWarning, match="ckpt-99 is skipped"):
        assert restored(tmp_path).generation == 5


def test_an_older_checkpoint_in_place_of_the_newest_is_skipped(tmp_path):
    saved(tmp_path, [4, 5])
    copy_checkpoint(tmp_path, 4, 5)
    with pytest.warns(UserWarning, match="it is a copy of that of generation"):
        assert restored(tmp_path).generation == 4


def test_a_folder_of_tensorflow_s_file_systems(tmp_path):
    folder = "ram://checkpoint_test/checkpoints"
    saved(folder, [1, 2])
    assert restored(folder).generation == 2


def test_two_torn_checkpoints_are_skipped(tmp_path):
    saved(tmp_path, [4, 5, 6])
    truncate(data_file(tmp_path, 6), 0.3)
    truncate(index_file(tmp_path, 5), 0.3)
    with pytest.warns(UserWarning, match="is skipped") as caught:
        trainer = restored(tmp_path)
    assert trainer.generation == 4
    assert len(caught) == 2


@tears
def test_is_an_error_if_no_checkpoint_is_intact(tmp_path, tear):
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
    assert not trainer.was_restored


def test_training_overwrites_a_torn_checkpoint(tmp_path):
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


def test_checkpoints_of_other_shapes_are_refused(tmp_path):
    saved(tmp_path, [1])
    trainer = FakeTrainer(size=7)
    checkpoint = TrainingCheckpoint(trainer, str(tmp_path))
    with (
        pytest.warns(UserWarning, match="is skipped"),
        pytest.raises(ValueError, match="none can be read"),
    ):
        checkpoint.restore()
    assert not trainer.was_restored


def test_continues_from_every_generation_bit_for_bit(tmp_path):
    generations = 5
    whole = tiny.trainer()
    checkpoint = TrainingCheckpoint(whole, str(tmp_path), keep=100)
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: checkpoint.save()
    )
    whole.fit(generations, [save])
    history = tiny.without_clock(whole.history)
    expected = tiny.leaves(tiny.arrays(whole))
    for generation in reversed(range(generations + 1)):
        part = tiny.trainer()
        TrainingCheckpoint(part, str(tmp_path)).restore()
        assert part.generation == generation
        assert part.history == whole.history[: generation + 1]
        part.fit(generations)
        assert tiny.without_clock(part.history) == history
        assert tiny.leaves(tiny.arrays(part)) == expected
        for path in pathlib.Path(tmp_path).glob(f"ckpt-{generation}.*"):
            path.unlink()

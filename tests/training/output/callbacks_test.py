"""The callbacks, with real trainers and with stand-ins."""

import csv
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from keras_lopt import checkpoints
from keras_lopt.population import Members
from keras_lopt.training.output import callbacks
from tests import tiny
from tests.training.output.played import played, row, stand_in


class TestCSVHistory:
    def read(self, path):
        with open(path, newline="") as file:
            return list(csv.DictReader(file))

    def test_has_one_row_per_generation_and_one_per_child(self, tmp_path):
        trainer = stand_in()
        trainer.history = trainer.state.history = []
        played(callbacks.CSVHistory(tmp_path), trainer, [0, 1, 2])
        rows = self.read(tmp_path / "history.csv")
        assert rows == [
            {key: str(value) for key, value in row(g).items()} for g in range(3)
        ]
        members = self.read(tmp_path / "members.csv")
        columns = ("generation", "id", "accepted")
        assert [tuple(m[c] for c in columns) for m in members] == [
            ("1", "2", "0"),
            ("1", "3", "1"),
            ("2", "4", "0"),
            ("2", "5", "1"),
        ]

    def test_rows_after_the_checkpoint_are_dropped_on_resume(self, tmp_path):
        trainer = stand_in()
        trainer.history = trainer.state.history = []
        played(callbacks.CSVHistory(tmp_path), trainer, [0, 1, 2, 3])
        whole = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        # Killed after generation 3, resumed from the checkpoint of 1.
        played(callbacks.CSVHistory(tmp_path), stand_in(1), [2, 3])
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == whole

    @pytest.mark.parametrize("name", ["history.csv", "members.csv"])
    @pytest.mark.parametrize("cut", [1, 3, 6])
    def test_a_torn_last_line_is_dropped_on_resume(self, tmp_path, name, cut):
        trainer = stand_in()
        trainer.history = trainer.state.history = []
        played(callbacks.CSVHistory(tmp_path), trainer, [0, 1, 2, 3])
        whole = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        (tmp_path / name).write_bytes(whole[name][:-cut])
        played(callbacks.CSVHistory(tmp_path), stand_in(2), [3])
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == whole

    @pytest.mark.parametrize("name", ["history.csv", "members.csv"])
    @pytest.mark.parametrize(
        "change, how",
        [
            (lambda path: path.unlink(), "missing"),
            (lambda path: path.write_bytes(b""), "incomplete or changed"),
            (
                lambda path: path.write_text(
                    path.read_text().replace("1", "7", 1)
                ),
                "incomplete or changed",
            ),
        ],
    )
    def test_a_damaged_file_is_written_anew_and_that_is_said(
        self, tmp_path, capsys, name, change, how
    ):
        trainer = stand_in()
        trainer.history = trainer.state.history = []
        played(callbacks.CSVHistory(tmp_path), trainer, [0, 1, 2, 3])
        whole = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        change(tmp_path / name)
        assert capsys.readouterr().out == ""
        played(callbacks.CSVHistory(tmp_path), stand_in(2), [3])
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == whole
        assert capsys.readouterr().out == (
            f"{name} was {how}: it is written anew from the checkpoint\n"
        )


class TestTensorBoard:
    TAGS = (
        "scores/best_score",
        "scores/median_score",
        "scores/worst_score",
        "selection/accepted_fraction",
        "speed/inner_steps_per_second",
        "speed/exchanged_bytes",
    )

    def read(self, folder):
        """Dict of tag -> list of (step, array)."""
        events = event_accumulator.EventAccumulator(str(folder))
        events.Reload()
        return {
            tag: [
                (event.step, tf.make_ndarray(event.tensor_proto))
                for event in events.Tensors(tag)
            ]
            for tag in events.Tags()["tensors"]
        }

    def test_scalars_are_the_history_in_groups(self, tmp_path):
        played(callbacks.TensorBoard(str(tmp_path)), stand_in(), [0, 1, 2])
        scalars = self.read(tmp_path)
        assert set(self.TAGS) <= set(scalars)
        for tag, series in scalars.items():
            group, _, name = tag.rpartition("/")
            if group == "machine":
                continue
            assert series == [
                (g, pytest.approx(row(g)[name], rel=1e-6)) for g in range(3)
            ]

    def test_what_the_machine_does_is_there(self, tmp_path):
        played(callbacks.TensorBoard(str(tmp_path)), stand_in(), [0, 1])
        found = self.read(tmp_path)
        memory = [value for _, value in found["machine/peak_memory_mb"]]
        assert 100.0 < memory[0] <= memory[1] < 1e6

    def test_multipliers_and_the_configuration_are_there(self, tmp_path):
        callback = callbacks.TensorBoard(str(tmp_path), "a.b = 1\nc.d = 2")
        trainer = stand_in()
        callback.set_model(trainer)
        callback.on_train_begin()
        trainer.child_rows = [{"multiplier": 0.5}, {"multiplier": 2.0}]
        callback.on_epoch_end(1)
        callback.on_train_end()
        found = self.read(tmp_path)
        ((step, text),) = found["configuration"]
        assert (step, text.ravel().tolist()) == (
            0,
            [b"    a.b = 1\n    c.d = 2\n"],
        )
        ((step, bins),) = found["selection/multipliers"]
        assert step == 1 and bins[:, 2].sum() == 2
        assert "selection/family_tree" not in found  # Nobody has a child.

    def test_the_family_tree_is_an_image_at_the_end(self, tmp_path):
        played(callbacks.TensorBoard(str(tmp_path)), stand_in(3), [3])
        ((step, image),) = self.read(tmp_path)["selection/family_tree"]
        width, height, content = image
        pixels = tf.io.decode_png(content).numpy()
        assert step == 3
        assert pixels.shape == (int(height), int(width), 3)
        assert 0.5 < np.mean(pixels == 255) < 0.99


class TestBestMember:
    @pytest.fixture
    def trainer(self):
        thetas = [tiny.RULE.init_theta(seed) for seed in range(3)]
        trainer = stand_in(
            experiment=types.SimpleNamespace(rule=tiny.RULE),
            outer_step=20,
            members=Members.initial(np.zeros([3, 1]), {}, np.arange(3)),
        )
        trainer.best_theta = lambda: thetas[trainer.members.best]
        trainer.state.best = {
            "id": 1,
            "generation": 2,
            "outer_step": 20,
            "score": 1.0,
            "train_loss": 0.1,
        }
        trainer.members.scores = np.array([3.0, 1.0, 2.0])
        trainer.members.train_losses = np.array([0.3, 0.1, 0.2])
        return trainer

    def test_the_file_holds_the_best_and_its_provenance(
        self, tmp_path, trainer
    ):
        path = tmp_path / "best.safetensors"
        metadata = {"experiment": {"seed": 3}}
        played(callbacks.BestMember(path, metadata), trainer, [2])
        rule, theta, found = checkpoints.load(path)
        assert rule == tiny.RULE
        for leaf, value in tiny.RULE.init_theta(1).items():
            np.testing.assert_array_equal(theta[leaf], value)
        assert found == {
            "experiment": {"seed": 3},
            "generation": 2,
            "outer_step": 20,
            "score": 1.0,
            "train_loss": 0.1,
        }

    def test_the_file_is_written_only_for_a_new_best(self, tmp_path, trainer):
        path = tmp_path / "best.safetensors"
        callback = callbacks.BestMember(path, {})
        played(callback, trainer, [2])
        path.unlink()
        played(callback, trainer, [3], begin=False)
        assert not path.exists()
        trainer.members.scores = np.array([0.5, 1.0, 2.0])
        trainer.state.best = {**trainer.state.best, "id": 0, "score": 0.5}
        played(callback, trainer, [4], begin=False)
        assert checkpoints.load(path)[2]["score"] == 0.5

    def test_snapshots_are_kept_every_few_minutes_of_training(
        self, tmp_path, trainer
    ):
        folder = tmp_path / "snapshots"
        minutes = 1.0 / 60.0  # Two generations of half a second.
        callback = callbacks.Snapshots(folder, minutes, {"seed": 3})
        played(callback, trainer, [0, 1])
        assert not folder.exists()
        played(callback, trainer, [2, 3, 4], begin=False)
        names = [f"generation_{n:06d}.safetensors" for n in (2, 4)]
        assert sorted(path.name for path in folder.iterdir()) == names
        _, _, metadata = checkpoints.load(folder / names[1])
        assert metadata["generation"] == 2  # When it became the best.
        assert metadata["seed"] == 3
        again = callbacks.Snapshots(folder, minutes, {})
        played(again, trainer, [5])  # Resumed: the next is due at 6.
        assert len(list(folder.iterdir())) == 2

    @pytest.mark.parametrize(
        "damage, how",
        [
            (lambda content: None, "missing"),
            (lambda content: content[:-4], "damaged or another's"),
            (lambda content: content[:-1] + b"x", "damaged or another's"),
            (lambda content: b"", "damaged or another's"),
        ],
    )
    def test_a_damaged_file_is_written_anew_and_that_is_said(
        self, tmp_path, trainer, capsys, damage, how
    ):
        path = tmp_path / "best.safetensors"
        played(callbacks.BestMember(path, {}), trainer, [2])
        whole = path.read_bytes()
        capsys.readouterr()
        path.unlink()
        if (content := damage(whole)) is not None:
            path.write_bytes(content)
        played(callbacks.BestMember(path, {}), trainer, [3])
        assert path.read_bytes() == whole
        assert f"best.safetensors was {how}" in capsys.readouterr().out


@pytest.mark.parametrize("seconds, stopped", [(0.0, 0), (0.9, 2), (1.0, 2)])
def test_time_limit_stops(seconds, stopped):
    callback, trainer = callbacks.TimeLimit(seconds), stand_in()
    for generation in range(3):
        played(callback, trainer, [generation])
        assert trainer.stop_training == (generation >= stopped)


@pytest.mark.parametrize("every, saved", [(1, [0, 1, 2, 3, 4]), (3, [0, 3])])
def test_a_checkpoint_is_saved_every_few_generations(every, saved):
    trainer, found = stand_in(), []
    checkpoint = types.SimpleNamespace(
        save=lambda: found.append(trainer.generation)
    )
    played(callbacks.Checkpoint(checkpoint, every), trainer, [0, 1, 2, 3, 4])
    assert found == saved


class TestKerasCallbacks:
    def test_lambda_callback_gets_rows_of_the_history(self):
        trainer, epochs, logs = tiny.trainer(), [], []
        callback = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, _: epochs.append(epoch),
            on_epoch_end=lambda epoch, row: logs.append((epoch, dict(row))),
        )
        trainer.fit(3, [callback])
        assert epochs == [1, 2, 3]  # Row 0 is no generation.
        assert logs == list(enumerate(trainer.history))

    def test_early_stopping_on_the_best_score(self):
        trainer = tiny.trainer()
        stop = keras.callbacks.EarlyStopping(
            monitor="best_score", mode="min", min_delta=100.0, patience=2
        )
        trainer.fit(9, [stop])
        assert trainer.generation == 2
        trainer.fit(3)
        assert trainer.generation == 3

    def test_stop_training_stops(self):
        trainer = tiny.trainer()

        def stop(epoch, logs):
            trainer.stop_training = epoch == 2

        callback = keras.callbacks.LambdaCallback(on_epoch_end=stop)
        assert len(trainer.fit(9, [callback])) == 3

    def test_time_limit_ends_a_fit(self):
        trainer = tiny.trainer()
        trainer.fit(9, [callbacks.TimeLimit(0.0)])
        assert trainer.generation == 0
        assert len(trainer.history) == 1

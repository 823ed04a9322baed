"""`kill -9` at a random moment, then --resume=auto: nothing is lost."""

import csv

import numpy as np
import pytest

from keras_lopt import checkpoints, config
from tests import tiny
from tests.benchmarks import kill_and_resume

GENERATIONS = 12
BINDINGS = (*tiny.BINDINGS, tiny.POPULATION)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of an uninterrupted run and of one that was killed."""
    folder = tmp_path_factory.mktemp("kill")
    whole, killed = folder / "whole", folder / "killed"
    rng = np.random.default_rng(0)
    (row,) = kill_and_resume.killed_run(
        killed, GENERATIONS, rng, kills=1, bindings=BINDINGS
    )
    assert -1 == row[1] < row[2] < GENERATIONS
    # In this process, which has compiled the same experiment for other tests.
    bindings = [*BINDINGS, f"training.run.generations = {GENERATIONS}"]
    config.load(["tiny.gin"], bindings, str(tiny.CONFIGS))
    tiny.run_loaded(whole)
    return whole, killed


def test_only_the_clock_differs(folders):
    whole, killed = folders
    assert kill_and_resume.differences(killed, whole) == []


def test_the_run_was_killed_and_continued(folders):
    log = (folders[1].parent / "killed.log").read_text()
    assert log.count("compiling ...") == 2
    assert log.count("continues after generation ") == 1
    assert "Traceback" not in log


def test_history_is_complete_and_without_duplicates(folders):
    with open(folders[1] / "history.csv", newline="") as file:
        generations = [int(r["generation"]) for r in csv.DictReader(file)]
    assert generations == list(range(GENERATIONS + 1))
    with open(folders[1] / "members.csv", newline="") as file:
        ids = [int(row["id"]) for row in csv.DictReader(file)]
    assert len(ids) == len(set(ids)) == 4 * GENERATIONS


def test_the_comparison_finds_differences(folders, tmp_path):
    whole, _ = folders
    for path in whole.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(whole)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert kill_and_resume.differences(tmp_path, whole) == []
    rule, theta, metadata = checkpoints.load(tmp_path)
    theta["w0"][0, 0] = np.nextafter(theta["w0"][0, 0], np.float32(1.0))
    checkpoints.save(tmp_path / "best.safetensors", rule, theta, metadata)
    history = (tmp_path / "history.csv").read_text().splitlines()
    (tmp_path / "history.csv").write_text("\n".join(history[:-1]))
    newest = kill_and_resume.newest_checkpoint(tmp_path)
    for path in (tmp_path / "checkpoints").glob(f"ckpt-{newest}.*"):
        path.unlink()
    found = kill_and_resume.differences(tmp_path, whole)
    assert f"history.csv: {GENERATIONS} and {GENERATIONS + 1} rows" in found
    assert "theta w0" in found
    assert any(line.startswith("state ") for line in found)

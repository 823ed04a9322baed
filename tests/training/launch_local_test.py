"""bin/launch_local.py, with a stand-in for training."""

import json
import os
import signal
import time

import pytest

from tests import binaries

#: Writes its TF_CONFIG; then does what a worker's file of its number says.
STAND_IN = """
import json, os, pathlib, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
folder = pathlib.Path(__file__).parent
index = config["task"]["index"]
config["flags"] = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
(folder / f"ready-{index}.tmp").write_text(json.dumps(config))
(folder / f"ready-{index}.tmp").rename(folder / f"ready-{index}")
what = folder / f"do-{index}"
while True:
    if what.exists():
        print(f"worker {index} ends")
        sys.exit(int(what.read_text()))
    time.sleep(0.02)
"""


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """bin/launch_local.py as a module, which starts the stand-in."""
    with binaries.loaded("launch_local") as module:
        monkeypatch.setattr(module, "SCRIPT", tmp_path / "stand_in.py")
        module.SCRIPT.write_text(STAND_IN)
        yield module


@pytest.fixture
def started(launcher, tmp_path):
    """Callable: number of workers -> `Workers`, and what each was given."""
    made = []

    def start(count):
        workers = launcher.Workers(count, [f"--out_dir={tmp_path}/run", "--x"])
        made.append(workers)
        ready = [tmp_path / f"ready-{i}" for i in range(count)]
        end = time.monotonic() + 60.0
        while not all(path.exists() for path in ready):
            assert time.monotonic() < end
            time.sleep(0.02)
        return workers, [json.loads(path.read_text()) for path in ready]

    yield start
    for workers in made:
        workers.pass_on(signal.SIGKILL)


def test_each_worker_gets_the_cluster_and_its_number(started, tmp_path):
    workers, configs = started(3)
    for i in range(3):
        (tmp_path / f"do-{i}").write_text("0")
    assert workers.wait() == 0
    (cluster,) = {json.dumps(config["cluster"]) for config in configs}
    addresses = json.loads(cluster)["worker"]
    assert len(set(addresses)) == 3
    assert all(a.startswith("127.0.0.1:") for a in addresses)
    for i, config in enumerate(configs):
        assert config["task"] == {"type": "worker", "index": i}
        assert config["flags"] == [
            *(f"--out_dir={tmp_path}/run", "--x", "--strategy=multi_worker")
        ]
    log = tmp_path / "run.workers" / "worker-2.log"
    assert log.read_text() == "worker 2 ends\n"


@pytest.mark.parametrize("which", [0, 1])
def test_all_end_when_one_fails(
    launcher, started, tmp_path, monkeypatch, capsys, which
):
    monkeypatch.setattr(launcher, "PATIENCE", 0.1)
    workers, _ = started(2)
    (tmp_path / f"do-{which}").write_text("3")
    assert workers.wait() == 3
    assert not workers._running()
    message = capsys.readouterr().err
    assert f"worker {which} has ended with code 3, all workers" in message
    assert ("worker-1.log" in message) == (which == 1)


def test_signals_are_passed_on(started, capsys):
    workers, _ = started(2)
    workers.pass_on(signal.SIGTERM)
    assert workers.wait() == 143
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--workers", "0", "--", "--out_dir=x"], "--workers must be >= 1"),
        (["--workers", "2"], "must follow `--`"),
        (["--workers", "2", "--", "--gin_file=x"], "with --out_dir"),
        (
            ["--workers", "2", "--", "--out_dir=x", "--strategy=cpu"],
            "--strategy must not be given",
        ),
    ],
)
def test_wrong_usage_is_explained(launcher, capsys, arguments, message):
    with pytest.raises(SystemExit):
        launcher.parse(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--out_dir=x"], ["-out_dir", "x"]])
def test_the_folder_is_found_among_the_flags(launcher, flags):
    args, rest = launcher.parse(["--workers", "2", "--", *flags])
    assert (args.workers, rest) == (2, flags)
    assert launcher.out_dir(flags) == "x"


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="Cores can't be shared."
)
def test_workers_share_the_cores(launcher, monkeypatch):
    given = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 5, 6})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, c: given.append(c))
    for index in range(2):
        launcher.share_cores(index, 2)
    launcher.share_cores(3, 4)
    assert given == [[4, 6], [5], [4]]

"""Two workers: the same numbers as two devices of one process."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import config, evaluation, training
from keras_lopt.training.devices import workers
from tests import processes, tiny
from tests.benchmarks.kill_and_resume import differences

GENERATIONS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def two_workers(folder):
    """Folder of a run of two processes, which was interrupted once."""
    out_dir = folder / "workers"
    for generations in (1, GENERATIONS):
        code, lines = processes.finish(
            processes.launch(out_dir, generations=generations)
        )
        assert code == 0, lines
    assert "continues after generation 1" in lines
    return out_dir


@pytest.fixture(scope="module")
def two_devices(folder):
    """Folder of a run on two devices of this process."""
    out_dir = folder / "devices"
    gin_file, _, *flags = processes.flags(out_dir, generations=GENERATIONS)
    bindings = [flag.removeprefix("--gin=") for flag in flags]
    config.load(["tiny.gin"], bindings, str(tiny.CONFIGS))
    with training.reuse_compiled():
        trainer = config.call(training.run, str(out_dir), "mirrored", "auto", 2)
    assert trainer.devices.replicas.count == 2
    return out_dir


def test_two_workers_are_bitwise_equal_to_two_devices(two_workers, two_devices):
    assert differences(two_workers, two_devices) == []


def test_what_they_exchange_is_in_the_history(two_workers):
    history = evaluation.read_history(str(two_workers / "history.csv"))
    assert len(set(history["exchanged_bytes"])) == 1
    assert np.all(history["exchanged_bytes"] > 0)
    assert np.all(history["exchange_seconds"] > 0.0)


def test_only_the_chief_writes(two_workers):
    log = two_workers.parent / "workers.workers" / "worker-1.log"
    assert processes.own_lines(log.read_text()) == []
    assert not (two_workers / "lock.json").exists()


class FakeReplicas:
    """Replicas of two processes, seen from one; the other's bytes are given."""

    are_local, local_count, first = False, 1, 0

    def __init__(self, theirs=None):
        self.theirs = theirs

    def gather_bytes(self, contents):
        return [*contents, self.theirs(*contents)]

    def send_bytes(self, content):
        return content


def workers_with(settings):
    """`Workers` whose second one has other settings."""
    other = workers.Workers(FakeReplicas(lambda own: own))
    sent = []
    other._gather = lambda own: sent.append(own) or [own, own]
    other.check_same(settings)
    return workers.Workers(FakeReplicas(lambda own: sent[0]))


def test_workers_that_differ_say_in_what():
    own = {"experiment": {"seed": 0, "rule": "x"}, "code": "1"}
    workers_with(own).check_same(own)
    other = {"experiment": {"seed": 1, "rule": "x"}, "code": "1"}
    with pytest.raises(
        ValueError,
        match="must have the same settings and code.*worker 0 and worker 1 "
        "differ in experiment.seed: 0 and 1$",
    ):
        workers_with(other).check_same(own)


def test_workers_whose_members_differ_say_in_what():
    members = tiny.trainer().members
    same = workers.Workers(FakeReplicas(lambda own: own))
    same.check_members(members)
    names = list(vars(members))
    start = 8 * names.index("scores")

    def other(own):
        return own[:start] + b"12345678" + own[start + 8 :]

    with pytest.raises(RuntimeError, match=r"\['scores'\] of worker 1 differ"):
        workers.Workers(FakeReplicas(other)).check_members(members)


@pytest.mark.parametrize("theirs, stops", [(b"false", False), (b"true", True)])
def test_any_worker_may_stop_all(theirs, stops):
    own = workers.Workers(FakeReplicas(lambda _: theirs))
    assert own.any_wants(False) == stops
    assert own.any_wants(True)


def test_an_error_of_the_chief_ends_all():
    def fail():
        raise OSError("the disk is full")

    chief = workers.Workers(FakeReplicas())
    with pytest.raises(OSError, match="^the disk is full"):
        chief.chief_does(fail)
    other = workers.Workers(FakeReplicas())
    other.is_chief = False
    other.chief_says = lambda _: [None, "the disk is full"]
    with pytest.raises(ValueError, match="Worker 0 has ended.*disk is full"):
        other.chief_does(fail)


def test_arrays_are_sent_with_their_types():
    sent = [tf.constant([[1.5]]).numpy(), tf.constant(True).numpy()]
    received = workers.Workers(FakeReplicas()).chief_sends(sent)
    assert [a.tobytes() for a in received] == [a.tobytes() for a in sent]
    assert [(a.dtype, a.shape) for a in received] == [
        (a.dtype, a.shape) for a in sent
    ]

"""Where the threads of a measurement run."""

import os
import threading

import pytest

from keras_lopt.evaluation.cores import on_cores

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="threads can't be told"
)


@pytest.fixture
def other_thread():
    """The number of a thread that waits."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield thread.native_id
    done.set()
    thread.join()


def test_all_threads_share_so_many_cores(other_thread):
    before = os.sched_getaffinity(0)
    with on_cores(1):
        assert os.sched_getaffinity(0) == {min(before)}
        assert os.sched_getaffinity(other_thread) == {min(before)}
    assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(other_thread) == before


def test_there_are_no_more_than_there_are():
    before = os.sched_getaffinity(0)
    with on_cores(10_000):
        assert os.sched_getaffinity(0) == before


def test_threads_are_set_free_after_an_error():
    before = os.sched_getaffinity(0)
    with pytest.raises(KeyError), on_cores(1):
        raise KeyError
    assert os.sched_getaffinity(0) == before

"""On how many cores a measurement runs."""

import contextlib
import os


@contextlib.contextmanager
def on_cores(count):
    """Context in which the process's threads share `count` of its cores.

    Where the system can't tell threads where to run, they go on as they were.

    Args:
        count: A number of cores; all of them, if there are fewer.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    _move_threads(sorted(cores)[:count])
    try:
        yield
    finally:
        _move_threads(cores)


def _move_threads(cores):
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # It has ended.
            os.sched_setaffinity(int(thread), cores)

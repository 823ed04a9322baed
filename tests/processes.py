"""Training in processes of its own, for tests of workers, signals, faults."""

import json
import os
import re
import signal
import subprocess
import sys
import time

from tests import binaries, tiny

#: A process that takes longer is ended: a test must not hang.
TIME_LIMIT = 900.0
_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONUNBUFFERED": "1",
}


def flags(out_dir, *extra, generations=3):
    """Flags of bin/train_population.py for the smallest experiment."""
    bindings = [
        *tiny.BINDINGS,
        tiny.POPULATION,
        "training.Schedule.score_problems = 2",  # One per replica.
        f"training.run.generations = {generations}",
    ]
    gin = [f"--gin={binding}" for binding in bindings]
    return ["--gin_file=tiny.gin", f"--out_dir={out_dir}", *gin, *extra]


def start(script, *arguments, **environment):
    """Starts a command of bin/; its output is both streams."""
    return subprocess.Popen(
        [sys.executable, str(binaries.BIN / script), *arguments],
        env={**os.environ, **_ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def train(out_dir, *extra, generations=3, **environment):
    """Starts training on one device."""
    own = flags(out_dir, "--strategy=cpu", *extra, generations=generations)
    return start("train_population.py", *own, **environment)


def launch(out_dir, *extra, workers=2, generations=3, **environment):
    """Starts bin/launch_local.py."""
    own = flags(out_dir, *extra, generations=generations)
    return start(
        "launch_local.py", "--workers", str(workers), "--", *own, **environment
    )


def worker(out_dir, index, addresses, *extra, generations=3, **environment):
    """Starts one of several workers."""
    own = flags(out_dir, "--strategy=multi_worker", *extra)
    task = {"type": "worker", "index": index}
    config = {"cluster": {"worker": addresses}, "task": task}
    return start(
        "train_population.py", *own, TF_CONFIG=json.dumps(config), **environment
    )


def finish(process):
    """Waits for the end: exit code, and lines without TensorFlow's notes."""
    try:
        output, _ = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        stop_all(process)
        output, _ = process.communicate()
        raise AssertionError(f"no end in {TIME_LIMIT} s:\n{output}") from None
    return process.returncode, own_lines(output)


def own_lines(output):
    """Lines of an output that are not TensorFlow's."""
    noise = re.compile(r"[WIEF]0000 |[WIEF]\d{4} |WARNING: All log|^\s*$")
    return [line for line in output.splitlines() if not noise.match(line)]


def read_until(process, text):
    """Reads lines until one has `text`; returns them all."""
    lines, end = [], time.monotonic() + TIME_LIMIT
    while time.monotonic() < end:
        line = process.stdout.readline()
        lines.append(line)
        if text in line:
            return lines
        if not line:
            raise AssertionError(f"ended without {text!r}:\n{''.join(lines)}")
    stop_all(process)
    raise AssertionError(f"no {text!r} in {TIME_LIMIT} s:\n{''.join(lines)}")


def child_pids(process):
    """Process ids of a launcher's workers."""
    pid = process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(number) for number in file.read().split()]


def stop_all(process, number=signal.SIGKILL):
    """Ends a launcher and its workers, each by its process id."""
    pids = child_pids(process) if process.poll() is None else []
    for pid in (process.pid, *pids):
        if process.poll() is None or pid != process.pid:
            os.kill(pid, number)

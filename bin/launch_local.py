#!/usr/bin/env python3
"""Trains with several worker processes on this machine.

Starts bin/train_population.py once per worker, over 127.0.0.1. What the first
worker prints is shown; the others' output is in OUT_DIR.workers/. When one
ends with an error, all are ended. SIGTERM and SIGINT are passed on.

Example:
  bin/launch_local.py --workers 2 -- --gin_file=tiny.gin --out_dir=runs/two
"""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

SCRIPT = pathlib.Path(__file__).resolve().parent / "train_population.py"
#: Seconds that the others get to end after one has ended.
PATIENCE = 20.0


def main():
    args, flags = parse(sys.argv[1:])
    workers = Workers(args.workers, flags)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, workers.pass_on)
    sys.exit(workers.wait())


def parse(arguments):
    """The launcher's arguments, and the flags after `--`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, required=True)
    own, flags = arguments, []
    if "--" in arguments:
        split = arguments.index("--")
        own, flags = arguments[:split], arguments[split + 1 :]
    args = parser.parse_args(own)
    if args.workers < 1:
        parser.error(f"--workers must be >= 1. Received: {args.workers}")
    if out_dir(flags) is None:
        parser.error(
            "flags of bin/train_population.py must follow `--`, with "
            f"--out_dir. Received: {flags}"
        )
    if any(flag.lstrip("-").startswith("strategy") for flag in flags):
        parser.error("--strategy must not be given: it is multi_worker here")
    return args, flags


def out_dir(flags):
    """The value of --out_dir among flags; None without one."""
    for i, flag in enumerate(flags):
        name, _, value = flag.lstrip("-").partition("=")
        if flag.startswith("-") and name == "out_dir":
            return value or (flags[i + 1] if i + 1 < len(flags) else None)
    return None


def free_ports(count):
    """Ports that nobody listens at now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Workers:
    """The processes.

    Args:
        count: Number of workers.
        flags: Of bin/train_population.py.
    """

    def __init__(self, count, flags):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self._logs = pathlib.Path(f"{local_name(out_dir(flags))}.workers")
        if count > 1:
            self._logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(SCRIPT), *flags]
        command.append("--strategy=multi_worker")
        self._processes = []
        for index in range(count):
            task = {"type": "worker", "index": index}
            config = {"cluster": {"worker": addresses}, "task": task}
            self._processes.append(
                self._start(command, index, count, json.dumps(config))
            )

    def _start(self, command, index, count, config):
        output = None
        if index:
            output = open(self._logs / f"worker-{index}.log", "ab")
        try:
            # A session of its own: a terminal's Ctrl-C comes once, from here.
            return subprocess.Popen(
                command,
                env={**os.environ, "TF_CONFIG": config},
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: prepare(index, count),
            )
        finally:
            if output is not None:
                output.close()

    def pass_on(self, number, frame=None):
        """Sends a signal to all workers that still run."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def wait(self):
        """Waits for the end; the exit code of the first that failed, or 0."""
        while True:
            codes = [process.poll() for process in self._processes]
            failed = [i for i, code in enumerate(codes) if code]
            if failed:
                return self._end(failed[0])
            if None not in codes:
                return 0
            time.sleep(0.1)

    def _end(self, first):
        """Ends all after the first has ended with an error."""
        code = self._processes[first].returncode
        end = time.monotonic() + PATIENCE
        # They notice it themselves, and say so; or a signal ends them, too.
        while self._running() and time.monotonic() < end:
            time.sleep(0.1)
        for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            end = time.monotonic() + seconds
            if self._running():
                self.pass_on(number)
            while self._running() and time.monotonic() < end:
                time.sleep(0.1)
        code = 128 - code if code < 0 else code
        if code not in (128 + signal.SIGTERM, 128 + signal.SIGINT):
            log = f"; see {self._logs}/worker-{first}.log" if first else ""
            print(
                f"launch_local: worker {first} has ended with code {code}, all "
                f"workers were ended{log}",
                file=sys.stderr,
                flush=True,
            )
        return code

    def _running(self):
        return any(process.poll() is None for process in self._processes)


def local_name(folder):
    """A path on this machine for what belongs to a folder, remote or not."""
    return folder.rstrip("/").replace("://", "_")


def prepare(index, count):
    """Is called in a worker's process before its program."""
    share_cores(index, count)
    if sys.platform == "linux":
        # Workers end with the launcher, even if that is killed.
        set_parent_death_signal = 1
        libc = ctypes.CDLL(None)
        libc.prctl(set_parent_death_signal, int(signal.SIGTERM))


def share_cores(index, count):
    """Gives this process its share of the cores, if there are as many."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[index::count] or [cores[index % len(cores)]])


if __name__ == "__main__":
    main()

"""The long set of faults; bin/test_faults runs it. Prints a row per fault."""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests import processes  # noqa: E402
from tests.benchmarks.kill_and_resume import (  # noqa: E402
    differences,
    newest_checkpoint,
)


class Faults:
    """Runs that are disturbed, each compared with one that is not.

    Args:
        folder: Where the runs are.
        args: Of the command line.
    """

    def __init__(self, folder, args):
        self.folder = pathlib.Path(folder)
        self.args = args
        self.rng = np.random.default_rng(args.seed)
        self.failed = 0

    def start(self, out_dir, workers):
        generations = self.args.generations
        if workers == 1:
            return processes.train(out_dir, generations=generations)
        return processes.launch(
            out_dir, workers=workers, generations=generations
        )

    def finish(self, out_dir, workers):
        """Trains to the end; raises RuntimeError if that fails."""
        code, lines = processes.finish(self.start(out_dir, workers))
        if code:
            raise RuntimeError("\n".join(lines))

    def whole(self, workers):
        out_dir = self.folder / f"whole-{workers}"
        if not out_dir.exists():
            self.finish(out_dir, workers)
        return out_dir

    def report(self, name, problems):
        self.failed += bool(problems)
        print(f"{name}: {'; '.join(problems) or 'the same'}", flush=True)

    def interrupt(self, name, workers, number, which=0):
        """Sends a signal at a random moment, then resumes."""
        out_dir = self.folder / "interrupted"
        shutil.rmtree(out_dir, ignore_errors=True)
        process, problems = self.start(out_dir, workers), []
        moment = int(self.rng.integers(0, self.args.generations - 2))
        processes.read_until(process, f"generation {moment}/")
        time.sleep(0.3 * self.rng.random())
        pids = processes.child_pids(process) if workers > 1 else []
        if process.poll() is None:
            # Signals go to the launcher, kills to one of its workers.
            kill = number == signal.SIGKILL and pids
            os.kill(pids[which] if kill else process.pid, number)
        code, lines = processes.finish(process)
        expected = {0, 128 + number, -number, 2 if workers > 1 else 0}
        if code not in expected:
            problems.append(f"exit code {code}")
        if any("Traceback" in line for line in lines):
            problems.append("a traceback")
        at = newest_checkpoint(out_dir)
        self.finish(out_dir, workers)
        problems += differences(out_dir, self.whole(workers))
        self.report(f"{name} after {moment} (saved: {at})", problems)

    def full_disk(self):
        """A small file system, where this user may mount one."""
        mount, problems = self.folder / "small", []
        mount.mkdir()
        options = ["-t", "tmpfs", "-o", "size=160k", "tmpfs", str(mount)]
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            print("full disk: skipped, nothing can be mounted")
            return
        try:
            code, lines = processes.finish(self.start(mount / "run", 1))
            if code != 2:
                problems.append(f"exit code {code}")
            if any("Traceback" in line for line in lines):
                problems.append("a traceback")
            print(f"  {lines[-1][:300]}")
            out_dir = self.folder / "moved"
            shutil.copytree(mount / "run", out_dir)
        finally:
            subprocess.run(["umount", str(mount)], check=True)
        self.finish(out_dir, 1)
        self.report("full disk", problems + differences(out_dir, self.whole(1)))

    def two_trainers(self):
        out_dir, problems = self.folder / "two", []
        first = self.start(out_dir, 1)
        processes.read_until(first, "generation 0/")
        code, lines = processes.finish(self.start(out_dir, 1))
        if code != 2 or "must have one trainer" not in lines[-1]:
            problems.append(f"the second: {code}, {lines[-1]}")
        code, _ = processes.finish(first)
        problems += [f"the first: {code}"] if code else []
        self.report(
            "two trainers", problems + differences(out_dir, self.whole(1))
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signals", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(folder, args)
        for i in range(args.kills):
            which = i % args.workers
            faults.interrupt(
                f"kill -9 of worker {which}",
                args.workers,
                signal.SIGKILL,
                which,
            )
        for i in range(args.signals):
            number = (signal.SIGTERM, signal.SIGINT)[i % 2]
            faults.interrupt(number.name, 1, number)
        faults.full_disk()
        faults.two_trainers()
    print("FAILED" if faults.failed else "nothing lost, nothing silent")
    return 1 if faults.failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""One owner of a folder: two trainers would delete each other's checkpoints.

lock.json says who: a host, a process and the time. A lock whose process is gone
is taken over. Whether a process on another host is alive shows in a number that
it raises every few seconds; no clocks are compared.
"""

import json
import os
import socket
import threading
import time
import uuid

import keras

from keras_lopt.training.output import files

NAME = "lock.json"
#: Seconds between two signs of life, and without one until a lock is stale.
BEAT, SILENCE = 10.0, 35.0
_held = set()  # tokens of this process's locks


class FolderLock:
    """The right to write in a folder.

    Args:
        folder: It must exist when the lock is acquired.
    """

    def __init__(self, folder):
        self._folder = folder
        self._path = files.join(folder, NAME)
        self._token = uuid.uuid4().hex
        self._ended = threading.Event()
        self._beats = 0

    def check_free(self):
        """Raises ValueError if another live process has the lock."""
        owner = self._owner()
        if owner is None or not _is_alive(owner, self._owner):
            return
        raise ValueError(
            f"`out_dir` must have one trainer. Received: {self._folder!r}, "
            f"which process {owner.get('pid')} on host {owner.get('host')} has "
            f"since {owner.get('time')}. Wait for its end or end it, or use "
            "another out_dir"
        )

    def acquire(self):
        """Takes the lock; a stale one is replaced, and that is said."""
        self.check_free()
        if (owner := self._owner()) is not None:
            print(
                f"took over the lock of process {owner.get('pid')} on host "
                f"{owner.get('host')}, which has ended",
                flush=True,
            )
            files.remove(self._path)
        self._create()
        _held.add(self._token)
        threading.Thread(target=self._beat, daemon=True).start()

    def _create(self):
        content = self._content()
        if files.is_remote(self._path):
            files.write(self._path, content)
        else:
            path = self._path.removeprefix("file://")
            try:
                with open(path, "x") as file:  # Only one of two succeeds.
                    file.write(content)
            except FileExistsError:
                self.check_free()
        self.check()

    def _content(self):
        owner = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _start_of(os.getpid()),
            "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "beats": self._beats,
            "token": self._token,
        }
        return json.dumps(owner) + "\n"

    def _owner(self):
        """What lock.json says, a dict; None if there is none."""
        try:
            content = files.read(self._path)
        except OSError:  # Removed or replaced meanwhile.
            return {}
        if content is None:
            return None
        try:
            owner = json.loads(content)
        except ValueError:
            return {}
        return owner if isinstance(owner, dict) else {}

    def _beat(self):
        while not self._ended.wait(BEAT):
            try:
                if not self.is_held():
                    return
                self._beats += 1
                files.write(self._path, self._content())
            except OSError:  # `check` says so, after the generation.
                continue

    def is_held(self):
        """Whether the lock in the folder is this one."""
        return (self._owner() or {}).get("token") == self._token

    def check(self):
        """Raises FileNotFoundError unless the lock is still this one's."""
        if not self.is_held():
            raise FileNotFoundError(
                "`out_dir` must stay while training runs. Received: "
                f"{self._folder!r}, which was deleted, moved, or taken by "
                "another trainer; nothing more is written"
            )

    def release(self):
        """Gives the lock back, if it is still held."""
        self._ended.set()
        _held.discard(self._token)
        if self.is_held():
            files.remove(self._path)


def _is_alive(owner, read):
    """Whether the owner of a lock still runs.

    Args:
        owner: From lock.json.
        read: Function that reads it anew.
    """
    if not owner.get("token"):
        return False  # Torn: its process ended while it wrote.
    if owner["host"] == socket.gethostname():
        if owner["pid"] == os.getpid():
            return owner["token"] in _held
        return _start_of(owner["pid"]) == owner["started"] is not None
    print(
        f"`out_dir` has a lock of process {owner['pid']} on host "
        f"{owner['host']}: waiting {SILENCE:.0f} s for a sign of life ...",
        flush=True,
    )
    time.sleep(SILENCE)
    again = read()
    return bool(again) and again.get("beats") != owner.get("beats")


def _start_of(pid):
    """When a process began, as text; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{fields[19]} {file.read().strip()}"
    except OSError:
        return _alive_elsewhere(pid)


def _alive_elsewhere(pid):
    """`_start_of` on systems without /proc."""
    if os.path.exists("/proc/self/stat"):
        return None
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return None
    return "unknown"


class KeepLock(keras.callbacks.Callback):
    """Ends training whose folder was deleted or taken.

    Args:
        lock: The `FolderLock`.
    """

    def __init__(self, lock):
        super().__init__()
        self._lock = lock

    def on_epoch_end(self, epoch, logs=None):
        self._lock.check()

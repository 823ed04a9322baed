"""Files of a run: on a disk, or where tf.io.gfile reaches (gs://, ram://).

What TensorFlow raises becomes an OSError that names the file.
"""

import contextlib
import hashlib
import os
import uuid

import tensorflow as tf


@contextlib.contextmanager
def os_errors(action, path):
    """Context in which TensorFlow's errors become OSErrors.

    Args:
        action: What is done, such as "written".
        path: The file.
    """
    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(_problem(action, path, error)) from error
    except tf.errors.OpError as error:
        raise OSError(_problem(action, path, error)) from error


def _problem(action, path, error):
    first = (error.message or repr(error)).splitlines()[0]
    return f"{path} can't be {action}. Received: {first}"


def is_remote(path):
    """Whether a path is none of this machine's disks, such as gs://x."""
    return "://" in path and not path.startswith("file://")


def exists(path):
    """Whether there is a file or a folder."""
    with os_errors("found", path):
        return tf.io.gfile.exists(path)


def is_folder(path):
    """Whether there is a folder."""
    with os_errors("found", path):
        return tf.io.gfile.isdir(path)


def names(folder):
    """Sorted names of what is in a folder; none if there is no folder."""
    if not is_folder(folder):
        return []
    with os_errors("listed", folder):
        # Folders in a bucket end in a slash.
        found = {n.rstrip("/") for n in tf.io.gfile.listdir(folder)}
    return sorted(found - {""})


def read(path):
    """Bytes of a file; None if there is none."""
    if not exists(path) or is_folder(path):
        return None
    with os_errors("read", path), tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def write(path, content):
    """Writes a file, completely or not at all.

    Args:
        path: An older file is replaced.
        content: Bytes, or text.
    """
    content = content.encode() if isinstance(content, str) else content
    if is_remote(path) and not path.startswith("ram://"):
        # An object appears when it is complete.
        return _write(path, content)
    temporary = f"{path}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        _write(temporary, content)
        with os_errors("written", path):
            tf.io.gfile.rename(temporary, path, overwrite=True)
    except OSError:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)
        raise


def _write(path, content):
    with os_errors("written", path), tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


def append(path, text):
    """Adds text to the end of a file."""
    with os_errors("written", path), tf.io.gfile.GFile(path, "a") as file:
        file.write(text)


def remove(path):
    """Removes a file, if there is one."""
    with contextlib.suppress(FileNotFoundError), os_errors("removed", path):
        tf.io.gfile.remove(path)


def make_folder(path):
    """Makes a folder and those above it, unless they are there."""
    with os_errors("made", path):
        tf.io.gfile.makedirs(path)


def rename(path, new):
    """Renames a file or a folder."""
    with os_errors("renamed", path):
        tf.io.gfile.rename(path, new)


def checksum(content):
    """SHA-256 of bytes, as text."""
    return hashlib.sha256(content).hexdigest()


def join(folder, *parts):
    """Path of what is below a folder."""
    return os.path.join(folder, *parts)

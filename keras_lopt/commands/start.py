"""How a command starts: with its own lines, and not the libraries'."""

import hashlib
import importlib.metadata
import json
import logging
import os
import pathlib
import platform
import sys

from keras_lopt import quiet


def set_up():
    """Sets what a command logs, unless the environment says otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "Agg")  # Commands draw into files.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def keep_compiled(folder, *settings):
    """Has XLA keep what it compiles, and use what it has kept.

    XLA tells programs apart, not what they were compiled for. So there is a
    folder within `folder` for each machine, version, and set of settings.

    Args:
        folder: Path; made if it is not there.
        *settings: What else decides how programs are compiled: strings.

    Raises:
        ValueError: TensorFlow is there already, and has read its settings.
    """
    if "tensorflow" in sys.modules:
        raise ValueError(
            "`compiled_dir` must be set before TensorFlow is imported. "
            f"Received: compiled_dir={str(folder)!r}; start a new process"
        )
    versions = [importlib.metadata.version("tensorflow"), _processor()]
    flags = os.environ.get("XLA_FLAGS", "")
    text = json.dumps([*versions, flags, *settings])
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = os.path.abspath(os.path.join(folder, key))
    os.makedirs(path, exist_ok=True)
    given = os.environ.get("TF_XLA_FLAGS", "")
    option = f"--tf_xla_persistent_cache_directory={path}"
    os.environ["TF_XLA_FLAGS"] = f"{given} {option}".strip()


def _processor():
    """The processor and what it can do, where Linux says it."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    names = "model name", "flags", "Features"
    lines = [line for line in text.splitlines() if line.startswith(names)]
    return "\n".join(sorted(set(lines)))


def start_tensorflow():
    """Imports TensorFlow; says so, because it takes long."""
    if "tensorflow" in sys.modules:
        return
    from keras_lopt import extras  # noqa: F401, says what is missing

    if _is_chief():
        print("starting TensorFlow ...", flush=True)
    with quiet.without_noise():
        import tensorflow as tf

        tf.config.list_physical_devices()  # This looks for CUDA.


def _is_chief():
    """Whether this is the first of several workers, which speaks for all."""
    try:
        return json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
    except (KeyError, TypeError, ValueError):  # One; or it is refused later.
        return True

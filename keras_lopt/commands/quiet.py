"""What a person sees of a command: its own lines, and not the libraries'.

TensorFlow writes about CUDA, oneDNN and its own logging to the standard error
of the process, below Python, while it is loaded; some of these lines heed no
setting. A command has nothing to do with them.
"""

import contextlib
import logging
import os
import re
import sys
import tempfile

#: Lines of TensorFlow's C++ parts, and absl's warning before its first one.
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|"
    rb"[IWEF]0000 00:00:\d+|"
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:[\d.]+: [IWE] tensorflow/|"
    rb"(To enable the following|Skipping registering GPU devices)"
)


def set_up():
    """Sets what a command logs, unless the environment says otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "Agg")  # Commands draw into files.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def start_tensorflow():
    """Imports TensorFlow without its lines; says so, because it takes long."""
    if "tensorflow" in sys.modules:
        return
    from keras_lopt import extras  # noqa: F401, says what is missing

    print("starting TensorFlow ...", flush=True)
    with without_noise():
        import tensorflow as tf

        tf.config.list_physical_devices()  # This looks for CUDA.


@contextlib.contextmanager
def without_noise():
    """Drops TensorFlow's start-up lines from the process's standard error.

    Everything else that is written meanwhile comes out at the end.
    """
    try:
        kept = os.dup(2)
    except OSError:  # There is no standard error.
        yield
        return
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            lines = [line for line in file if not _NOISE.match(line)]
            os.write(2, b"".join(lines))

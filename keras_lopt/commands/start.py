"""How a command starts: with its own lines, and not the libraries'."""

import json
import logging
import os
import sys

from keras_lopt import quiet


def set_up():
    """Sets what a command logs, unless the environment says otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "Agg")  # Commands draw into files.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


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

"""Loads TensorFlow without what it writes about itself.

It writes about CUDA, oneDNN and its own logging to the standard error of the
process, below Python, while it is loaded; some of these lines heed no setting.
"""

import contextlib
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


@contextlib.contextmanager
def without_noise():
    """Drops TensorFlow's start-up lines from the process's standard error.

    Everything else that is written meanwhile comes out at the end.
    """
    if "tensorflow" in sys.modules:  # It has said it all.
        yield
        return
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

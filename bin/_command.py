"""What the commands share: flags, configuration, one call, its errors."""

import os
import pathlib
import sys

from _package import ROOT
from absl import app, flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_multi_string(
    "gin_file", [], "Configuration file, of gin_configs/ or a path; repeatable."
)
flags.DEFINE_multi_string(
    "gin", [], 'Binding such as "run.seed=1"; repeatable, overrides the files.'
)
flags.DEFINE_string("out_dir", None, "Folder of what the command writes.")
flags.mark_flag_as_required("out_dir")


def main(argv, find_function, *names):
    """Calls a function as the command line and its gin files say.

    Args:
        argv: Name of the program and what is left of its command line.
        find_function: Function without arguments that imports and returns the
            function to call: flags are checked before TensorFlow is loaded. It
            is called after the configuration has been read.
        *names: Names of the flags that are its positional arguments.
    """
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    if not FLAGS.gin_file:
        raise app.UsageError("--gin_file says what to do: give at least one")
    logging.set_verbosity(logging.FATAL)  # gin logs every path it tries.
    try:
        from keras_lopt import config

        config.load(FLAGS.gin_file, FLAGS.gin, str(ROOT / "gin_configs"))
        config.call(find_function(), *(FLAGS[name].value for name in names))
    except (ValueError, OSError) as error:
        command = pathlib.Path(argv[0]).stem
        print(f"{command}: {config.message(error)}", file=sys.stderr)
        if isinstance(error, ConnectionError):
            # At an orderly exit, TensorFlow waits for the worker that is gone.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(2)
        sys.exit(2)
    except KeyboardInterrupt:  # Before or after training, which handles it.
        sys.exit(130)

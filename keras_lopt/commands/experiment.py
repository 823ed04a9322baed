"""What the commands with a configuration share: flags, and the call."""

import os
import sys

from keras_lopt.commands import start


def add_flags(parser):
    """Adds the flags of a configuration, of data and of the output."""
    parser.add_argument(
        "--gin_file",
        action="append",
        required=True,
        help="configuration: a path, or the name of a shipped one; repeatable",
    )
    parser.add_argument(
        "--gin",
        action="append",
        default=[],
        metavar="BINDING",
        help='such as "training.run.seed=1"; repeatable, overrides the files',
    )
    parser.add_argument(
        "--out_dir", required=True, help="folder of what the command writes"
    )
    add_data_flags(parser)


def add_data_flags(parser):
    """Adds the flags of TensorFlow Datasets."""
    parser.add_argument("--data_dir", help="folder of TensorFlow Datasets")
    parser.add_argument(
        "--download", action="store_true", help="download missing data"
    )


def call(args, function, *arguments):
    """Calls a function as the gin files say.

    Args:
        args: The command line's.
        function: Its dotted name, such as "training.run"; or a function
            without arguments that says it, when the configuration is read.
        *arguments: Its positional arguments.
    """
    load(args.gin_file, args.gin)
    configure_data(args)
    from keras_lopt import config

    name = function() if callable(function) else function
    try:
        return config.call(_find(name), *arguments)
    except ConnectionError as error:  # Another worker has ended.
        message = f"keras-lopt {args.command}: {config.message(error)}"
        print(message, file=sys.stderr)
        # At an orderly exit, TensorFlow waits for the worker that is gone.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(2)


def load(gin_files, bindings=()):
    """Reads gin files; modules beside them and in this folder are found."""
    start.start_tensorflow()
    from keras_lopt import config

    for folder in ("", *map(os.path.dirname, gin_files)):
        if (path := os.path.abspath(folder)) not in sys.path:
            sys.path.append(path)
    config.load(gin_files, bindings)


def configure_data(args):
    """Says where data is: by flags, or by `tasks.tfds_data.configure`."""
    from keras_lopt import config, tasks

    config.call_if_named(tasks.tfds_data.configure)
    given = {"data_dir": args.data_dir, "download": args.download}
    given = {name: value for name, value in given.items() if value}
    if given:
        tasks.tfds_data.configure(**given)


def _find(function):
    import keras_lopt

    found = keras_lopt
    for name in function.split("."):
        found = getattr(found, name)
    return found

"""`keras-lopt COMMAND ...`: finds the command, and says its errors."""

import argparse
import importlib
import sys

from keras_lopt import __version__
from keras_lopt.checks import near_name
from keras_lopt.commands import start

#: Dict from a command to its module in this package and what it does.
COMMANDS = {
    "quickstart": ("quickstart", "self-train on digits, then report"),
    "train": ("train", "train a population as gin files say"),
    "status": ("status", "what a training run has reached, from its files"),
    "evaluate": ("evaluate", "compare an optimizer with tuned Adam"),
    "compare": ("compare", "compare training runs with each other"),
    "archive": ("archive", "train the baselines of suites, keep their curves"),
    "choose": ("choose", "choose the release among a run's snapshots"),
    "convert": ("convert", "import weights from other libraries"),
    "list": ("list_tasks", "list optimizers, rules, families and tasks"),
    "time": ("time_tasks", "measure inner steps of tasks"),
    "benchmark": ("benchmark", "measure what rules and training cost"),
}


def main(argv=None):
    """Runs a command line.

    Args:
        argv: List of arguments, the command's name first; default: those of
            the process.

    Returns:
        The exit status: 0; 2 for what the user has to change.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if argv[0] == "--version":
        print(f"keras_lopt {__version__}")
        return 0
    name, *rest = argv
    if name not in COMMANDS:
        _say(
            "keras-lopt",
            f"the command must be one of {', '.join(COMMANDS)}. "
            f"Received: {name!r}.{near_name(name, COMMANDS)}",
        )
        return 2
    return _run(name, rest)


def _run(name, rest):
    module = COMMANDS[name][0]
    command = importlib.import_module(f"keras_lopt.commands.{module}")
    parser = argparse.ArgumentParser(
        f"keras-lopt {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_flags(parser)
    parser.set_defaults(command=name)
    args = parser.parse_args(rest)
    start.set_up()
    try:
        return command.run(args) or 0
    except (ValueError, OSError, ImportError) as error:
        _say(f"keras-lopt {name}", _one_line(error))
        return 2
    except KeyboardInterrupt:
        _say(f"keras-lopt {name}", "stopped")
        return 130


def _one_line(error):
    if "keras_lopt.config" in sys.modules:  # gin adds notes on its code.
        return sys.modules["keras_lopt.config"].message(error)
    return " ".join(str(error).split())


def _help():
    lines = [f"  {name:<11} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: keras-lopt COMMAND [flags]; keras-lopt COMMAND --help",
            "",
            *lines,
        ]
    )


def _say(who, text):
    print(f"{who}: {text}", file=sys.stderr)

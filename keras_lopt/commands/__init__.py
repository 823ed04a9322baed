"""The commands: what `keras-lopt` and the scripts in bin/ call.

Each command is a module with a docstring (its help), `add_flags(parser)` and
`run(args)`. It imports what it needs when it runs: `keras-lopt --help` and a
wrong flag answer at once.
"""

from keras_lopt.commands.main import main

__all__ = ["main"]

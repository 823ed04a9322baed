"""Libraries that only some files or places need."""

import importlib

from keras_lopt.checkpoints.errors import MissingLibraryError


def import_module(name, extra, purpose):
    """The module `name`.

    Args:
        name: Its import name.
        extra: The extra of this package that installs it.
        purpose: What it is for, as in "reading torch files".

    Raises:
        MissingLibraryError: An ImportError that says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingLibraryError(
            f"{purpose} needs the library `{name}` ({error}). Install it "
            f"with: pip install 'keras_lopt[{extra}]'"
        ) from error

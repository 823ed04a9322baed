"""Imports libraries that only some file formats or locations need."""

import importlib

from keras_lopt.checkpoints.errors import MissingLibraryError


def import_module(name, extra, purpose):
    """Imports the module `name`.

    Args:
        name: Import name of the module.
        extra: The extra of keras_lopt that installs it.
        purpose: What needs it, as in "reading torch files".

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

"""Errors for optimizer files that cannot be used."""


class CheckpointError(ValueError):
    """An optimizer file is damaged, unknown, or does not fit its rule.

    The message starts with the path of the file.
    """

    def __init__(self, path, problem):
        super().__init__(f"Optimizer file {str(path)!r}: {problem}")


class MissingLibraryError(ImportError):
    """An optional library that a format or location needs is missing."""

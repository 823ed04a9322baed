"""The errors of optimizer files that cannot be used."""


class CheckpointError(ValueError):
    """An optimizer file that is damaged, foreign, or does not fit its rule.

    The message starts with the path of the file.
    """

    def __init__(self, path, problem):
        super().__init__(f"Optimizer file {str(path)!r}: {problem}")


class MissingLibraryError(ImportError):
    """An optional library that a file or a place needs is not installed."""

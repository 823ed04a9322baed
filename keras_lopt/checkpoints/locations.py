"""Where optimizer files are: paths, run directories, bundled names."""

import pathlib

from keras_lopt.checkpoints.errors import CheckpointError

SUFFIX = ".safetensors"
#: The file that a training run keeps up to date in its directory.
BEST = f"best{SUFFIX}"
BUNDLED = pathlib.Path(__file__).parent / "bundled"


def bundled_names():
    """Sorted names of the optimizers that ship inside the package."""
    return sorted(path.stem for path in BUNDLED.glob(f"*{SUFFIX}"))


def locate(name_or_path):
    """Path of the file that `name_or_path` means.

    Args:
        name_or_path: A bundled name, which comes first; a file; or the
            directory of a training run, which stands for its `BEST`.

    Raises:
        CheckpointError: A directory without `BEST`.
        FileNotFoundError: Nothing there.
    """
    if str(name_or_path) in bundled_names():
        return BUNDLED / f"{name_or_path}{SUFFIX}"
    path = pathlib.Path(name_or_path)
    if path.is_dir():
        if not (path / BEST).is_file():
            raise CheckpointError(
                path, f"a directory must hold a training run's {BEST}."
            )
        return path / BEST
    if not path.is_file():
        raise FileNotFoundError(
            "`path` must be an optimizer file, the directory of a training "
            f"run, or one of the bundled names {bundled_names()}. "
            f"Received: path={str(name_or_path)!r}"
        )
    return path

"""Where optimizer files are: paths, run directories, names, URLs."""

import contextlib
import os
import pathlib

from keras_lopt.checkpoints import remote
from keras_lopt.checkpoints.errors import CheckpointError
from keras_lopt.checks import near_name

SUFFIX = ".safetensors"
#: The best member, which a training run keeps up to date in its directory.
BEST = f"best{SUFFIX}"
BUNDLED = pathlib.Path(__file__).parent / "bundled"
#: Lies beside weights from google/learned_optimization and describes them.
GIN_CONFIG = "config.gin"


#: What Keras saves models in.
_KERAS_SUFFIXES = (".keras", ".h5")


def names() -> list[str]:
    """Sorted names of the optimizers that ship inside the package.

    `describe` says what each of them is.

    >>> from keras_lopt import checkpoints
    >>> "fused_digits" in checkpoints.names()
    True
    """
    return sorted(path.stem for path in BUNDLED.glob(f"*{SUFFIX}"))


def bundled_names() -> list[str]:
    """The same as `names`, which is its newer name."""
    return names()


def bundled_path(name: str) -> pathlib.Path:
    """Path of the file that ships as `name`; ValueError without one."""
    if name not in names():
        raise ValueError(
            f"`name` must be one of {names()}. "
            f"Received: name={name!r}.{near_name(name, names())}"
        )
    return BUNDLED / f"{name}{SUFFIX}"


@contextlib.contextmanager
def located(source):
    """Path of the file that `source` means, while the context lasts.

    Args:
        source: A bundled name (looked up first); a file; the directory of a
            training run, which stands for its `BEST`; `gs://...`, for a file
            or a run; `hf://owner/name` or `hf://owner/name/file`.

    Raises:
        CheckpointError: The directory has no `BEST`, or a download failed.
        FileNotFoundError: There is nothing at `source`.
    """
    if remote.is_remote(source):
        with remote.downloaded(str(source), BEST, GIN_CONFIG) as path:
            yield path
    else:
        yield _local(source)


def _local(source):
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            f"`source` must be a string or a path. Received: source={source!r}"
        )
    if str(source) in names():
        return bundled_path(str(source))
    path = pathlib.Path(source)
    if path.suffix in _KERAS_SUFFIXES:
        raise CheckpointError(
            path,
            f"a {path.suffix} file is what Keras saves a model in. Load that "
            "by `keras.models.load_model(path)`, whose `optimizer` continues "
            "the training; `optimizer.rule` and `optimizer.theta` are what "
            "`checkpoints.save` makes an optimizer file of.",
        )
    if path.is_dir():
        if not (path / BEST).is_file():
            raise CheckpointError(
                path,
                f"a directory must hold a training run's {BEST}. To import "
                "weights, give the file itself. Received: a directory with "
                f"{_first_names(path)}",
            )
        return path / BEST
    if not path.is_file():
        raise FileNotFoundError(
            "`source` must be an optimizer file, the directory of a training "
            "run, gs://bucket/path, hf://owner/name, or one of the bundled "
            f"names {names()}. Received: source={str(source)!r}."
            f"{near_name(source, names())}"
        )
    return path


def _first_names(folder, most=5):
    """The first file names in a folder, for an error message."""
    names = sorted(os.listdir(folder))
    return names if len(names) <= most else [*names[:most], "..."]

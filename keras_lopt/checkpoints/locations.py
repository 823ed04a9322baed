"""Where optimizer files are: paths, run directories, names, remote places."""

import contextlib
import os
import pathlib

from keras_lopt.checkpoints import remote
from keras_lopt.checkpoints.errors import CheckpointError

SUFFIX = ".safetensors"
#: The file that a training run keeps up to date in its directory.
BEST = f"best{SUFFIX}"
BUNDLED = pathlib.Path(__file__).parent / "bundled"
#: Beside the weights of google/learned_optimization: what they are for.
UPSTREAM_CONFIG = "config.gin"


def bundled_names():
    """Sorted names of the optimizers that ship inside the package.

    >>> from keras_lopt import checkpoints
    >>> "fused_digits" in checkpoints.bundled_names()
    True
    """
    return sorted(path.stem for path in BUNDLED.glob(f"*{SUFFIX}"))


@contextlib.contextmanager
def located(source):
    """Path of the file that `source` means, for as long as the context lasts.

    Args:
        source: A bundled name, which comes first; a file; the directory of a
            training run, which stands for its `BEST`; `gs://...`, either of
            these; `hf://owner/name` or `hf://owner/name/file`.

    Raises:
        CheckpointError: A directory without `BEST`, a failed download.
        FileNotFoundError: Nothing there.
    """
    if remote.is_remote(source):
        with remote.downloaded(str(source), BEST, UPSTREAM_CONFIG) as path:
            yield path
    else:
        yield _local(source)


def _local(source):
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            f"`source` must be a string or a path. Received: source={source!r}"
        )
    if str(source) in bundled_names():
        return BUNDLED / f"{source}{SUFFIX}"
    path = pathlib.Path(source)
    if path.is_dir():
        if not (path / BEST).is_file():
            raise CheckpointError(
                path,
                f"a directory must hold a training run's {BEST}. For weights "
                "of others give the file itself. Received: a directory with "
                f"{_first_names(path)}",
            )
        return path / BEST
    if not path.is_file():
        raise FileNotFoundError(
            "`source` must be an optimizer file, the directory of a training "
            "run, gs://bucket/path, hf://owner/name, or one of the bundled "
            f"names {bundled_names()}. Received: source={str(source)!r}"
        )
    return path


def _first_names(folder, most=5):
    """The first names in a folder, for a message."""
    names = sorted(os.listdir(folder))
    return names if len(names) <= most else [*names[:most], "..."]

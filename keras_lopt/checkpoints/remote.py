"""Downloads optimizer files: gs://bucket/path, hf://owner/name."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable

from keras_lopt.checkpoints import optional_libraries
from keras_lopt.checkpoints.errors import CheckpointError

STORAGE, HUB = "gs://", "hf://"
#: File endings of weights, the preferred ones first.
_ENDINGS = ((".safetensors",), (".msgpack", ".pt", ".pth", ".state", "params"))


def is_remote(source):
    """Whether `source` has to be downloaded."""
    return str(source).startswith((STORAGE, HUB))


@contextlib.contextmanager
def downloaded(url, best, beside):
    """Path of a local copy, while the context lasts.

    Args:
        url: `gs://bucket/path`, for a file or the directory of a training run;
            or `hf://owner/name`, optionally with `@revision` and `/file`.
        best: Name of the file to read from the directory of a training run.
        beside: Name of a file to copy too, if it lies beside a `gs://` file.

    Raises:
        CheckpointError: There is nothing at `url`, or the copy is incomplete.
        MissingLibraryError: No installed library reads such URLs.
    """
    if url.startswith(HUB):
        yield pathlib.Path(_from_hub(url))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield _from_storage(url, best, beside, pathlib.Path(folder))


@dataclasses.dataclass(frozen=True)
class _Storage:
    """What one library can do with a URL."""

    is_folder: Callable
    exists: Callable
    size: Callable
    read: Callable


def _from_storage(url, best, beside, folder):
    problems = []
    for library in (_tensorflow, _fsspec):
        try:
            return _copy(library(), url, best, beside, folder)
        except CheckpointError:
            raise
        except ImportError as error:
            problems.append(error)
        except Exception as error:  # Each library has its own classes.
            # TensorFlow may have been built without this kind of storage.
            if type(error).__name__ != "UnimplementedError":
                raise CheckpointError(url, _why(error)) from error
            problems.append(error)
    raise problems[-1]


def _tensorflow():
    gfile = optional_libraries.import_module(
        "tensorflow", extra="gs", purpose=f"reading {STORAGE}"
    ).io.gfile

    def read(url):
        with gfile.GFile(url, "rb") as file:
            return file.read()

    return _Storage(
        gfile.isdir, gfile.exists, lambda url: gfile.stat(url).length, read
    )


def _fsspec():
    purpose = f"reading {STORAGE}"
    fsspec = optional_libraries.import_module(
        "fsspec", extra="gs", purpose=purpose
    )
    optional_libraries.import_module("gcsfs", extra="gs", purpose=purpose)
    files = fsspec.filesystem(STORAGE.removesuffix("://"))
    return _Storage(files.isdir, files.exists, files.size, files.cat_file)


def _copy(storage, url, best, beside, folder):
    if storage.is_folder(url):
        url = f"{url.rstrip('/')}/{best}"
    if not storage.exists(url):
        raise CheckpointError(url, "there is no such file.")
    path = folder / url.rpartition("/")[2]
    path.write_bytes(_complete(storage, url))
    neighbor = f"{url.rpartition('/')[0]}/{beside}"
    if storage.exists(neighbor):
        (folder / beside).write_bytes(_complete(storage, neighbor))
    return path


def _complete(storage, url):
    content, size = storage.read(url), storage.size(url)
    if len(content) != size:
        raise CheckpointError(
            url, f"the download has {len(content)} of {size} bytes. Try again."
        )
    return content


def _from_hub(url):
    """Path of a file in the cache of the library, which checks its size."""
    hub = optional_libraries.import_module(
        "huggingface_hub", extra="hub", purpose=f"reading {HUB}"
    )
    repository, revision, file = _parts(url)
    try:
        if not file:
            names = hub.list_repo_files(repository, revision=revision)
            file = _only_weights(url, names)
        return hub.hf_hub_download(repository, file, revision=revision)
    except CheckpointError:
        raise
    except Exception as error:  # The library's own, or its transport's.
        raise CheckpointError(url, _why(error)) from error


def _parts(url):
    """Repository, revision and file of an hf:// URL; the last two or None."""
    owner, _, rest = url.removeprefix(HUB).partition("/")
    name, _, file = rest.partition("/")
    name, _, revision = name.partition("@")
    if not owner or not name:
        raise CheckpointError(
            url, f"`source` must be {HUB}owner/name or {HUB}owner/name/file."
        )
    return f"{owner}/{name}", revision or None, file or None


def _only_weights(url, names):
    for endings in _ENDINGS:
        found = sorted(name for name in names if name.endswith(endings))
        if len(found) == 1:
            return found[0]
        if found:
            break
    raise CheckpointError(
        url,
        f"say which file: {HUB}owner/name/file. It has "
        f"{found or sorted(names)}",
    )


def _why(error):
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"it could not be downloaded ({type(error).__name__}: {first})."

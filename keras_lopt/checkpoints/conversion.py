"""Weights of others as optimizer files of ours."""

import pathlib

from keras_lopt.checkpoints.files import load, save
from keras_lopt.checkpoints.locations import SUFFIX


def convert(source, path, rule=None, config=None, licence=None):
    """Reads weights and writes them as an optimizer file.

    Args:
        source, rule, config: As for `load`.
        path: Where to, ending in .safetensors; nothing may be there.
        licence: What the weights may be used for, as in "Apache-2.0".

    Returns:
        `rule` and `metadata` of the file: where the weights come from, and
        `licence` if it is given.

    Raises:
        As `load` does; and FileExistsError for what is at `path` already.
        Nothing is written then.
    """
    path = pathlib.Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(
            f"`path` must end in {SUFFIX}. Received: path={str(path)!r}"
        )
    if path.exists():
        raise FileExistsError(
            "`path` must be a new file, nothing is overwritten. "
            f"Received: path={str(path)!r}"
        )
    found, theta, metadata = load(source, rule, config)
    if licence is not None:
        metadata = {**metadata, "licence": licence}
    save(path, found, theta, metadata)
    return found, metadata

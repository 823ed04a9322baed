"""Recognizes the format of a file of imported weights, and reads it."""

import dataclasses
import hashlib
import pathlib

from keras_lopt.checkpoints.importers import (
    flax_msgpack,
    plain_safetensors,
    pylo,
    torch_state,
)

HEAD = 16  # Bytes that tell the formats apart.
#: Known formats that are not read: first bytes -> name.
_REFUSED = {
    b"\x93NUMPY": "an .npy file",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x89HDF": "an HDF5 file",
}


@dataclasses.dataclass(frozen=True)
class Weights:
    """Imported weights of one file.

    Args:
        leaves: Dict from path to float32 array.
        provenance: JSON-serializable dict: the file's format and checksum,
            and what it says about its origin.
        config: Hyperparameters that the format implies.
    """

    leaves: dict
    provenance: dict
    config: dict = dataclasses.field(default_factory=dict)


def format_of(path):
    """Name of the file's format; ValueError if it cannot be read."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if plain_safetensors.is_safetensors(head):
        return "safetensors"
    if torch_state.is_torch(head):
        return "torch"
    for magic, name in _REFUSED.items():
        if head.startswith(magic):
            raise ValueError(
                f"it is {name}, which is not read: nothing is ever "
                "unpickled. It must be a safetensors, flax msgpack or torch "
                "file."
            )
    if flax_msgpack.is_msgpack_map(head):
        return "flax msgpack"
    if pathlib.Path(path).suffix == ".safetensors":
        return "safetensors"  # Its reader says what is wrong.
    raise ValueError(
        "it is truncated, or not a safetensors, flax msgpack or torch file. "
        f"Received: a file that begins with {head!r}"
    )


def read(path):
    """`Weights` from the file at `path`; ValueError if it is damaged."""
    format_name = format_of(path)
    content = pathlib.Path(path).read_bytes()
    info = {}
    if format_name == "torch":
        leaves, info = torch_state.read(path)
    elif format_name == "flax msgpack":
        leaves, info = flax_msgpack.read(content)
    else:
        leaves = plain_safetensors.read(content)
    leaves, config = pylo.translated(leaves)
    provenance = {
        "format": format_name,
        "sha256": hashlib.sha256(content).hexdigest(),
        **info,
    }
    return Weights(leaves, provenance, config)

"""Which format a file has, and its weights under the published paths."""

import dataclasses
import hashlib
import pathlib

from keras_lopt.checkpoints.foreign import (
    flax_msgpack,
    plain_safetensors,
    pylo,
    torch_state,
)

HEAD = 16  # Bytes that tell the formats apart.
#: Formats that are known and not read: how they begin, what they are.
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
    """Published weights, as a file has them.

    Args:
        leaves: Dict from published path to float32 array.
        provenance: JSON-serialisable dict: the file's format and checksum,
            and what it says of its origin.
        config: Hyperparameters that come with the format.
    """

    leaves: dict
    provenance: dict
    config: dict = dataclasses.field(default_factory=dict)


def format_of(path):
    """ "safetensors", "flax msgpack" or "torch"; ValueError for others."""
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
        return "safetensors"  # Whose reader says what is wrong.
    raise ValueError(
        "it is truncated, or not a safetensors, flax msgpack or torch file. "
        f"Received: a file that begins with {head!r}"
    )


def read(path):
    """`Weights` of the file at `path`; ValueError names its fault."""
    format_name = format_of(path)
    content = pathlib.Path(path).read_bytes()
    info = {}
    if format_name == "torch":
        leaves, info = torch_state.read(path)
    elif format_name == "flax msgpack":
        leaves, info = flax_msgpack.read(content)
    else:
        leaves = plain_safetensors.read(content)
    leaves, config = pylo.to_published(leaves)
    provenance = {
        "format": format_name,
        "sha256": hashlib.sha256(content).hexdigest(),
        **info,
    }
    return Weights(leaves, provenance, config)

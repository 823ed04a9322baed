"""flax msgpack files: google/learned_optimization, Celo, muLO.

A file is a map of maps. An array is the msgpack extension 1 and a NumPy scalar
is 3, both with the payload `[shape, dtype name, bytes]`. Theta is the whole
map, or its entry `params`, beside which there may be `gen_id` and `step`.
"""

import math

import numpy as np

from keras_lopt.checkpoints import optional_libraries
from keras_lopt.checkpoints.importers import arrays

ARRAY, COMPLEX, SCALAR = 1, 2, 3  # Extension types of flax.
WRAPPER = ("gen_id", "params", "step")


def is_msgpack_map(head):
    """Whether a file that begins with the bytes `head` can be a msgpack map."""
    return bool(head) and (0x80 < head[0] <= 0x8F or head[0] in (0xDE, 0xDF))


def read(content):
    """Leaves and provenance from the bytes of a file.

    Returns:
        Dict from path to float32 array, and dict with `gen_id` and `step` if
        the file has them.
    """
    tree = _unpack(content)
    info = {}
    if isinstance(tree, dict) and "params" in tree:
        if not set(tree) <= set(WRAPPER):
            raise ValueError(
                f"a map with `params` must have the keys {list(WRAPPER)}. "
                f"Received: {sorted(map(str, tree))}"
            )
        info = {k: _plain(k, v) for k, v in tree.items() if k != "params"}
        tree = tree["params"]
    leaves = arrays.flatten(tree)
    return {path: _array(path, value) for path, value in leaves.items()}, info


def _unpack(content):
    msgpack = optional_libraries.import_module(
        "msgpack", extra="import", purpose="reading flax msgpack files"
    )
    try:
        return msgpack.unpackb(
            content, raw=False, object_pairs_hook=_without_duplicates
        )
    except ValueError as error:  # The parent of all of msgpack's errors.
        raise ValueError(
            f"it is truncated or not a flax msgpack file ({error}). Copy it "
            "again from where it was made."
        ) from error


def _without_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it has a key twice")
    return found


def _array(path, value):
    """float32 array from an extension object."""
    code = getattr(value, "code", None)
    if code is None or code == COMPLEX:
        kind = "complex number" if code else type(value).__name__
        raise ValueError(
            f"`leaves[{path!r}]` must be an array. Received: {kind}"
        )
    return arrays.from_bytes(path, *_payload(path, value))


def _payload(path, value):
    """dtype, shape and bytes from an extension object."""
    if value.code not in (ARRAY, SCALAR):
        raise ValueError(
            f"`leaves[{path!r}]` must be an array: msgpack extension type "
            f"{ARRAY} or {SCALAR}. Received: type {value.code}, which is "
            "unknown and not read"
        )
    try:
        payload = _unpack(value.data)
    except ValueError as error:
        raise ValueError(f"`leaves[{path!r}]`: {error}") from error
    if not isinstance(payload, list) or len(payload) != 3:
        raise ValueError(
            f"`leaves[{path!r}]` must be stored as [shape, dtype, bytes]. "
            f"Received: {type(payload).__name__}"
        )
    shape, dtype, data = payload
    if not (
        isinstance(shape, list)
        and all(type(size) is int and size >= 0 for size in shape)
        and isinstance(dtype, str)
        and isinstance(data, bytes)
    ):
        raise ValueError(
            f"`leaves[{path!r}]` must be stored as a list of sizes, the name "
            f"of a dtype, and bytes. Received: shape={shape!r}, "
            f"dtype={dtype!r}, {type(data).__name__}"
        )
    return dtype, shape, data


def _plain(key, value):
    """A string or an integer, which may be stored as an array."""
    if hasattr(value, "code"):
        dtype, shape, data = _payload(key, value)
        if dtype in ("int32", "int64", "uint32") and math.prod(shape) == 1:
            if len(data) == np.dtype(dtype).itemsize:
                return int(np.frombuffer(data, np.dtype(dtype))[0])
    elif value is None or isinstance(value, (str, int)):
        return value
    raise ValueError(
        f"`{key}` must be a string or an integer. Received: "
        f"{type(value).__name__}"
    )

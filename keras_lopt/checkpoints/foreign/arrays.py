"""Leaves of foreign files as float32 arrays with paths as names.

The rule for dtypes: float32 is taken as it is; float16 and bfloat16 are
widened, which is exact; everything else is refused, float64 too, since
rounding it would change the weights.
"""

import collections.abc
import math

import numpy as np

#: Names of the dtypes that are read, and how their bytes are.
_BYTES = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}


def check_dtype(path, dtype):
    """Raises ValueError unless `dtype`, a NumPy name, is one that is read."""
    if dtype not in _BYTES:
        raise ValueError(
            f"`leaves[{path!r}]` must be float32, or float16 or bfloat16, "
            f"which float32 holds exactly. Received: dtype={dtype}"
        )


def from_bytes(path, dtype, shape, data):
    """float32 array of little-endian bytes in row-major order.

    Args:
        path: Name of the leaf.
        dtype: NumPy's name of the type.
        shape: List of sizes.
        data: The bytes.
    """
    check_dtype(path, dtype)
    stored = np.dtype(_BYTES[dtype])
    if len(data) != math.prod(shape) * stored.itemsize:
        raise ValueError(
            f"`leaves[{path!r}]` of shape {tuple(shape)} and {dtype} must "
            f"have {math.prod(shape) * stored.itemsize} bytes. "
            f"Received: {len(data)}"
        )
    try:
        value = np.frombuffer(data, stored).reshape(shape)
    except ValueError as error:  # Too large, or of too many dimensions.
        raise ValueError(
            f"`leaves[{path!r}]` must have a shape that an array can have "
            f"({error}). Received: shape={tuple(shape)}"
        ) from error
    if dtype == "bfloat16":  # The upper half of a float32.
        return (value.astype(np.uint32) << 16).view(np.float32)
    return value.astype(np.float32)


def flatten(tree):
    """Dict from path to leaf of nested dicts, the keys joined by `/`.

    A key may hold slashes: `{"rnn/linear": {"w": x}}` has `rnn/linear/w`.
    """
    if not isinstance(tree, collections.abc.Mapping):
        raise ValueError(
            f"it must hold a dict of arrays. Received: {type(tree).__name__}"
        )
    leaves, left = {}, [("", tree)]
    while left:  # Not recursive: a file may be nested as deeply as it likes.
        prefix, branch = left.pop()
        for key, value in branch.items():
            if not isinstance(key, str):
                raise ValueError(f"its keys must be strings. Received: {key!r}")
            path = prefix + key
            if isinstance(value, collections.abc.Mapping):
                left.append((f"{path}/", value))
            elif path in leaves:
                raise ValueError(f"it has the leaf {path!r} twice.")
            else:
                leaves[path] = value
    return dict(sorted(leaves.items()))

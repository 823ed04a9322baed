"""Leaves of imported files as float32 arrays, named by their paths.

float32 is used as it is. float16 and bfloat16 are widened, which is exact. All
other dtypes are refused; float64 too, because rounding would change the
weights.
"""

import collections.abc
import math

import numpy as np

#: Names of the dtypes that are read, and the layout of their bytes.
_BYTES = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}


def check_dtype(path, dtype):
    """Raises ValueError unless `dtype`, a NumPy name, can be read."""
    if dtype not in _BYTES:
        raise ValueError(
            f"`leaves[{path!r}]` must be float32, or float16 or bfloat16, "
            f"which float32 holds exactly. Received: dtype={dtype}"
        )


def from_bytes(path, dtype, shape, data):
    """float32 array from little-endian bytes in row-major order.

    Args:
        path: Name of the leaf.
        dtype: NumPy's name of the dtype.
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
    except ValueError as error:  # Too large, or too many dimensions.
        raise ValueError(
            f"`leaves[{path!r}]` must have a shape that an array can have "
            f"({error}). Received: shape={tuple(shape)}"
        ) from error
    if dtype == "bfloat16":  # The upper half of a float32.
        return (value.astype(np.uint32) << 16).view(np.float32)
    return value.astype(np.float32)


def flatten(tree):
    """Dict from path to leaf of nested dicts, with keys joined by `/`.

    Keys may contain slashes: `{"rnn/linear": {"w": x}}` has `rnn/linear/w`.
    """
    if not isinstance(tree, collections.abc.Mapping):
        raise ValueError(
            f"it must hold a dict of arrays. Received: {type(tree).__name__}"
        )
    leaves, left = {}, [("", tree)]
    while left:  # Not recursive, because a file may be nested deeply.
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

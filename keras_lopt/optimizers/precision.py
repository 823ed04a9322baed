"""Types of numbers: rules compute in float32, variables have their own."""

import keras
import numpy as np
from keras import ops


def float32(value):
    """`value`, a variable or tensor, as a float32 tensor."""
    return ops.cast(ops.convert_to_tensor(value), "float32")


def added(variable, change):
    """`variable` plus a float32 `change`, of the type of `variable`.

    A float16 sum stops at the largest finite number.
    """
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if dtype != "float16":
        return ops.convert_to_tensor(variable) + ops.cast(change, dtype)
    largest = float(np.finfo("float16").max)
    total = ops.clip(float32(variable) + change, -largest, largest)
    return ops.cast(total, dtype)

"""safetensors files from other libraries, such as PyLO."""

import safetensors

from keras_lopt.checkpoints.importers import arrays

#: safetensors' name of a dtype that is read -> NumPy's.
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def is_safetensors(head):
    """Whether a file that begins with the bytes `head` is one."""
    # The length of a JSON header, which the format limits.
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**27


def read(content):
    """Dict from name to float32 array, from the bytes of a file."""
    try:
        tensors = safetensors.deserialize(content)
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"it is truncated or not a safetensors file ({error}). Copy it "
            "again from where it was made."
        ) from error
    return {
        name: arrays.from_bytes(
            name,
            _DTYPES.get(tensor["dtype"], tensor["dtype"]),
            tensor["shape"],
            tensor["data"],
        )
        for name, tensor in sorted(tensors)
    }

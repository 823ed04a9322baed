"""torch state dicts: only plain tensors (`weights_only=True`)."""

import collections.abc
import re
import warnings
import zipfile

from keras_lopt.checkpoints import optional_libraries
from keras_lopt.checkpoints.importers import arrays

ZIP = b"PK\x03\x04"
#: First bytes of files from torch before 1.6: a pickled number.
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
#: The first version whose `weights_only` is safe (CVE-2025-32434).
MIN_VERSION = (2, 6)
WRAPPERS = ("params", "torch_params", "state_dict")


def is_torch(head):
    """Whether a file that begins with the bytes `head` can be one."""
    return head.startswith((ZIP, LEGACY))


def read(path):
    """Leaves and provenance from the file at `path`.

    Returns:
        Dict from path to float32 array, and dict with `gen_id` and `step` if
        the file has them beside its weights.
    """
    _check_zip(path)
    torch = optional_libraries.import_module(
        "torch", extra="torch", purpose="reading torch files"
    )
    _check_version(torch)
    state = _load(torch, path)
    info = {}
    for wrapper in WRAPPERS:
        if isinstance(state, collections.abc.Mapping) and isinstance(
            state.get(wrapper), collections.abc.Mapping
        ):
            info = {
                key: state[key]
                for key in ("gen_id", "step")
                if isinstance(state.get(key), (str, int))
            }
            state = state[wrapper]
    leaves = arrays.flatten(state)
    return {k: _array(torch, k, value) for k, value in leaves.items()}, info


def _check_zip(path):
    """Raises ValueError for a truncated zip, or one that NumPy wrote."""
    with open(path, "rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "it is truncated: a zip archive without its end. Copy it again "
            "from where it was made."
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if not any(name.endswith("data.pkl") for name in names):
        raise ValueError(
            "a zip archive must be a torch file. Received: one with "
            f"{names[:3]}"
        )


def _check_version(torch):
    version = tuple(int(n) for n in re.findall(r"\d+", torch.__version__)[:2])
    if version < MIN_VERSION:
        raise ValueError(
            "reading torch files safely needs torch "
            f"{'.'.join(map(str, MIN_VERSION))} or newer. Received: torch "
            f"{torch.__version__}"
        )


def _load(torch, path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About what is then refused.
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no error class for these.
        found = re.findall(r"(?:GLOBAL|global:?) ([\w.]+\.\w+)", str(error))
        what = f", it refers to {found[0]}" if found else ""
        raise ValueError(
            "it is damaged, or it is not plain tensors and would have to be "
            f"unpickled, which is never done ({type(error).__name__}{what}). "
            "Save `{name: tensor}` with `torch.save` where it was made."
        ) from error


def _array(torch, path, value):
    if not isinstance(value, torch.Tensor):
        raise ValueError(
            f"`leaves[{path!r}]` must be a tensor. Received: "
            f"{type(value).__name__}"
        )
    if value.layout != torch.strided or value.is_meta:
        raise ValueError(
            f"`leaves[{path!r}]` must be a dense tensor with data. Received: "
            f"layout={value.layout}, device={value.device}"
        )
    arrays.check_dtype(path, str(value.dtype).removeprefix("torch."))
    return value.detach().to(torch.float32).numpy()

"""Data by name: "digits8", "wine", ..., or "tfds:cifar10@8"."""

import functools

from keras_lopt.checks import near_name
from keras_lopt.tasks import datasets

_EMBEDDED = {
    "digits4": lambda: datasets.digit_images(4),
    "digits8": lambda: datasets.digit_images(8),
    "wine": datasets.wine,
    "breast_cancer": datasets.breast_cancer,
    "diabetes": datasets.diabetes,
    "nothing": datasets.nothing,
}


def names():
    """Sorted names of the data that need no download."""
    return sorted(_EMBEDDED)


@functools.lru_cache(maxsize=32)
def get(name):
    """The `Dataset` of a name, one object for all tasks.

    Args:
        name: Of embedded data, or "tfds:BUILDER" or "tfds:BUILDER@SIZE" with
            the side of the square that images are resized to.
    """
    if str(name).startswith("tfds:"):
        from keras_lopt.tasks import tfds_data

        builder, _, size = name.removeprefix("tfds:").partition("@")
        return tfds_data.images(builder, int(size) if size else None)
    if name not in _EMBEDDED:
        raise ValueError(
            f"`data` must be one of {names()}, or 'tfds:BUILDER@SIZE'. "
            f"Received: data={name!r}.{near_name(name, names())}"
        )
    return _EMBEDDED[name]()

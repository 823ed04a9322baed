"""Examples in memory, as arrays with splits."""

import dataclasses
import functools
import weakref

import numpy as np
import tensorflow as tf

from keras_lopt.checks import check_integer

#: float32 values; int32 class numbers or tokens; uint8 images, which a model
#: sees as float32 in [0, 1].
DTYPES = ("float32", "int32", "uint8")


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in memory.

    Args:
        name: Name of the dataset.
        inputs: [n, ...] array of one of `DTYPES`, or a dict, tuple or list of
            such arrays.
        targets: With `num_classes`: [n] int32 (or int64) class numbers.
            Otherwise arrays like the inputs; pass the same object if the
            targets are the inputs.
        num_classes: Number of classes, or None if targets are not class
            numbers.
        splits: Dict from split name to (start, size): ranges of examples that
            do not overlap. It must have the split `train`.
    """

    name: str
    inputs: object
    targets: object
    num_classes: int | None
    splits: dict

    def __post_init__(self):
        if self.num_classes is not None:
            check_integer("num_classes", self.num_classes, 1)
            self._check_array("targets", self.targets, ("int32", "int64"))
        else:
            self._check_arrays("targets")
        self._check_arrays("inputs")
        self._check_sizes()
        if self.num_classes is not None:
            self._check_classes()
        self._check_finite()
        if not isinstance(self.splits, dict) or "train" not in self.splits:
            raise ValueError(
                f"`splits` of dataset {self.name!r} must be a dict with the "
                f"split 'train'. Received: splits={self.splits!r}"
            )
        for split, value in self.splits.items():
            self._check_split(f"splits[{split!r}]", value)
        self._check_overlap()

    def _check_arrays(self, field):
        leaves = tf.nest.flatten(getattr(self, field))
        if not leaves:
            raise ValueError(
                f"`{field}` of dataset {self.name!r} must be one or more "
                f"arrays. Received: {field}={getattr(self, field)!r}"
            )
        for leaf in leaves:
            self._check_array(field, leaf, DTYPES)

    def _check_array(self, field, value, names):
        is_array = isinstance(value, np.ndarray)
        if not is_array or value.dtype.name not in names:
            found = value.dtype if is_array else type(value).__name__
            raise ValueError(
                f"`{field}` of dataset {self.name!r} must be a NumPy array of "
                f"{' or '.join(names)}. Received: {found}"
            )

    def _check_sizes(self):
        leaves = tf.nest.flatten((self.inputs, self.targets))
        shapes = [leaf.shape for leaf in leaves]
        same = len({shape[:1] for shape in shapes}) == 1
        has_classes = self.num_classes is not None
        is_flat = not has_classes or self.targets.ndim == 1
        if not same or () in shapes or shapes[0][0] == 0 or not is_flat:
            raise ValueError(
                f"`inputs` and `targets` of dataset {self.name!r} must have "
                "the same number of examples, at least one"
                + (", and one class number per target" if has_classes else "")
                + f". Received: shapes {' and '.join(map(str, shapes))}"
            )

    def _check_classes(self):
        low, high = int(self.targets.min()), int(self.targets.max())
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                "`targets` must be class numbers in [0, num_classes). Received:"
                f" num_classes={self.num_classes}, targets in [{low}, {high}]"
            )

    def _check_finite(self):
        for field in ("inputs", "targets"):
            for leaf in tf.nest.flatten(getattr(self, field)):
                if leaf.dtype == np.float32 and not np.all(np.isfinite(leaf)):
                    raise ValueError(
                        f"`{field}` of dataset {self.name!r} must be finite. "
                        f"Received: {int(np.sum(~np.isfinite(leaf)))} "
                        "non-finite entries"
                    )

    def _check_split(self, field, value):
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise ValueError(
                f"`{field}` of dataset {self.name!r} must be a pair "
                f"(start, size). Received: {field}={value!r}"
            )
        start, size = value
        check_integer(f"{field}[0]", start, 0)
        check_integer(f"{field}[1]", size, 1)
        if start + size > self.size:
            raise ValueError(
                f"`{field}` of dataset {self.name!r} must end within its "
                f"{self.size} examples. Received: start={start}, size={size}"
            )

    def _check_overlap(self):
        ranges = sorted((*self.splits[split], split) for split in self.splits)
        for (start, size, split), (following, _, other) in zip(
            ranges, ranges[1:]
        ):
            if following < start + size:
                raise ValueError(
                    f"`splits` of dataset {self.name!r} must not overlap. "
                    f"Received: {split!r} ends at {start + size}, {other!r} "
                    f"starts at {following}"
                )

    @property
    def size(self):
        """Number of examples."""
        return len(tf.nest.flatten(self.inputs)[0])

    @functools.cached_property
    def tensors(self):
        """(inputs, targets) as tensors: one copy for all tasks and programs.

        Compiled functions capture eager tensors, they do not copy them.
        Datasets of the same arrays, or of views of them, share one copy.
        """
        with tf.init_scope():
            return tf.nest.map_structure(
                lambda copy, array: tf.reshape(copy, array.shape),
                self._copies,
                (self.inputs, self.targets),
            )

    @functools.cached_property
    def _copies(self):
        """The flat tensors whose memory `tensors` uses."""
        with tf.init_scope():
            return tf.nest.map_structure(_copy_of, (self.inputs, self.targets))

    def range(self, split):
        """(start, size) of a split."""
        if split not in self.splits:
            raise ValueError(
                f"`split` must be one of {list(self.splits)}. "
                f"Received: split={split!r}"
            )
        return self.splits[split]

    def arrays(self, split):
        """All inputs and targets of a split."""
        start, size = self.range(split)
        return tf.nest.map_structure(
            lambda a: a[start : start + size], (self.inputs, self.targets)
        )


def as_seen(nest):
    """Arrays or tensors as models see them: uint8 as float32 in [0, 1]."""
    return tf.nest.map_structure(
        lambda a: tf.cast(a, tf.float32) / 255.0 if a.dtype == "uint8" else a,
        nest,
    )


#: (address, dtype, length) of an array -> its only copy, a flat tensor.
_copies = weakref.WeakValueDictionary()


def _copy_of(array):
    """A flat tensor with an array's entries: the existing copy or a new one."""
    flat = np.ascontiguousarray(array).reshape(-1)
    key = flat.ctypes.data, flat.dtype.name, len(flat)
    copy = _copies.get(key)
    # The memory may have been reused or changed since it was copied.
    if copy is None or not np.array_equal(copy.numpy(), flat):
        _copies[key] = copy = tf.constant(flat)
    return copy

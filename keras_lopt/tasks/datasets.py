"""Small real datasets as arrays with splits; no download.

Splits are contiguous ranges of the (once shuffled) examples: `train` for inner
steps, `inner_valid` for scoring members (no gradient ever sees it),
`outer_valid` for the outer loss, `test` for evaluation.
"""

import dataclasses
import functools

import numpy as np
from sklearn import datasets as sklearn_datasets

from keras_lopt.checks import check_integer

SPLIT_FRACTIONS = {
    "train": 0.60,
    "inner_valid": 0.10,
    "outer_valid": 0.15,
    "test": 0.15,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in memory.

    Args:
        name: Of the data.
        inputs: [n, ...] float32.
        targets: [n] int32 (or int64) class numbers.
        num_classes: Number of classes.
        splits: Dict from split name to (start, size), ranges of the examples
            that do not overlap; `train` must be among them.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    num_classes: int
    splits: dict

    def __post_init__(self):
        check_integer("num_classes", self.num_classes, 1)
        self._check_dtype("inputs", ("float32",))
        self._check_dtype("targets", ("int32", "int64"))
        self._check_values()
        if not isinstance(self.splits, dict) or "train" not in self.splits:
            raise ValueError(
                f"`splits` of dataset {self.name!r} must be a dict with the "
                f"split 'train'. Received: splits={self.splits!r}"
            )
        for split, value in self.splits.items():
            self._check_split(f"splits[{split!r}]", value)
        self._check_overlap()

    def _check_dtype(self, field, names):
        value = getattr(self, field)
        is_array = isinstance(value, np.ndarray)
        if not is_array or value.dtype.name not in names:
            found = value.dtype if is_array else type(value).__name__
            raise ValueError(
                f"`{field}` of dataset {self.name!r} must be a NumPy array of "
                f"{' or '.join(names)}. Received: {found}"
            )

    def _check_values(self):
        shapes = self.inputs.shape, self.targets.shape
        if len(shapes[1]) != 1 or shapes[0][:1] != shapes[1] or 0 in shapes[1]:
            raise ValueError(
                f"`inputs` and `targets` of dataset {self.name!r} must be of "
                "the same examples, one or more, and `targets` of one number "
                f"each. Received: shapes {shapes[0]} and {shapes[1]}"
            )
        low, high = int(self.targets.min()), int(self.targets.max())
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                "`targets` must be class numbers in [0, num_classes). Received:"
                f" num_classes={self.num_classes}, targets in [{low}, {high}]"
            )
        if not np.all(np.isfinite(self.inputs)):
            raise ValueError(
                f"`inputs` of dataset {self.name!r} must be finite. Received: "
                f"{int(np.sum(~np.isfinite(self.inputs)))} non-finite entries"
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
        if start + size > len(self.inputs):
            raise ValueError(
                f"`{field}` of dataset {self.name!r} must end within its "
                f"{len(self.inputs)} examples. Received: start={start}, "
                f"size={size}"
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

    def range(self, split):
        """(start, size) of a split."""
        if split not in self.splits:
            raise ValueError(
                f"`split` must be one of {list(self.splits)}. "
                f"Received: split={split!r}"
            )
        return self.splits[split]

    def arrays(self, split):
        """Inputs and targets of a whole split."""
        start, size = self.range(split)
        return (
            self.inputs[start : start + size],
            self.targets[start : start + size],
        )


def split_arrays(name, inputs, targets, num_classes, standardize=False):
    """A `Dataset` with `SPLIT_FRACTIONS` of the examples, once shuffled.

    Args:
        name, inputs, targets, num_classes: As for `Dataset`, but of any type
            of numbers.
        standardize: Whether columns get the mean 0 and the standard deviation
            1; those of the training split, so that no other split tells
            anything about itself.
    """
    order = np.random.default_rng(0).permutation(len(inputs))
    bounds = np.cumsum([0.0, *SPLIT_FRACTIONS.values()]) * len(inputs)
    bounds = np.round(bounds).astype(int)
    splits = {
        split: (int(start), int(stop - start))
        for split, start, stop in zip(SPLIT_FRACTIONS, bounds, bounds[1:])
    }
    inputs = inputs[order]
    if standardize:
        inputs = _standardize(inputs, *splits["train"])
    return Dataset(
        name,
        np.ascontiguousarray(inputs, dtype=np.float32),
        np.ascontiguousarray(targets[order], dtype=np.int32),
        num_classes,
        splits,
    )


@functools.cache
def digits(size=8):
    """1,797 handwritten digits in [0, 1], 8x8 or averaged to 4x4, flat."""
    if size not in (4, 8):
        raise ValueError(f"`size` must be 4 or 8. Received: size={size!r}")
    bunch = sklearn_datasets.load_digits()
    images = bunch.images / 16.0  # [n, 8, 8]
    if size == 4:
        images = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    flat = images.reshape(len(images), size * size)
    return split_arrays(f"digits{size}x{size}", flat, bunch.target, 10)


@functools.cache
def wine():
    """178 wines, 13 standardised measurements, 3 cultivars."""
    bunch = sklearn_datasets.load_wine()
    return split_arrays("wine", bunch.data, bunch.target, 3, standardize=True)


@functools.cache
def breast_cancer():
    """569 tumours, 30 standardised measurements, 2 diagnoses."""
    bunch = sklearn_datasets.load_breast_cancer()
    return split_arrays(
        "breast_cancer", bunch.data, bunch.target, 2, standardize=True
    )


def _standardize(columns, start, size):
    """Columns less the mean, over the deviation, of a range of rows."""
    train = columns[start : start + size]
    deviation = train.std(axis=0)
    constant = np.ptp(train, axis=0) == 0  # Rounding may leave a deviation.
    deviation = np.where(constant, 1.0, deviation)
    return (columns - train.mean(axis=0)) / deviation

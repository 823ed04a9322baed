"""Small real datasets as arrays with splits; no download.

Splits are contiguous ranges of the (once shuffled) examples: `train` for inner
steps, `inner_valid` for scoring members (no gradient ever sees it),
`outer_valid` for the outer loss, `test` for evaluation.
"""

import dataclasses
import functools

import numpy as np
from sklearn import datasets as sklearn_datasets

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
        targets: [n] int32 class numbers.
        num_classes: Number of classes.
        splits: Dict from split name to (start, size).
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    num_classes: int
    splits: dict

    def __post_init__(self):
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
        for split, (_, size) in self.splits.items():
            if size < 1:
                raise ValueError(
                    f"`splits[{split!r}]` of dataset {self.name!r} must not be "
                    f"empty. Received: size={size}"
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


def split_arrays(name, inputs, targets, num_classes):
    """A `Dataset` with `SPLIT_FRACTIONS` of the examples, once shuffled."""
    order = np.random.default_rng(0).permutation(len(inputs))
    bounds = np.cumsum([0.0, *SPLIT_FRACTIONS.values()]) * len(inputs)
    bounds = np.round(bounds).astype(int)
    splits = {
        split: (int(start), int(stop - start))
        for split, start, stop in zip(SPLIT_FRACTIONS, bounds, bounds[1:])
    }
    return Dataset(
        name,
        np.ascontiguousarray(inputs[order], dtype=np.float32),
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
    return split_arrays("wine", _standardize(bunch.data), bunch.target, 3)


@functools.cache
def breast_cancer():
    """569 tumours, 30 standardised measurements, 2 diagnoses."""
    bunch = sklearn_datasets.load_breast_cancer()
    return split_arrays(
        "breast_cancer", _standardize(bunch.data), bunch.target, 2
    )


def _standardize(columns):
    return (columns - columns.mean(axis=0)) / columns.std(axis=0)

"""Tasks: Keras models with a loss and data, to be trained by a rule.

A task is static: one model structure, one dataset, one batch size, one
compiled program. A *problem* of a task is one inner training run: its initial
values, its data order and its variation all follow from one seed. A *family*
is a distribution over tasks, a *mixture* is several weighted tasks.
"""

from keras_lopt import extras  # noqa: F401
from keras_lopt.tasks import (
    families,
    keras_problem,
    layers,
    registry,
    suites,
)
from keras_lopt.tasks.augmentation.augment import augmented
from keras_lopt.tasks.augmentation.variation import Variation
from keras_lopt.tasks.cost import Cost, task_cost
from keras_lopt.tasks.data import datasets, text, tfds_data
from keras_lopt.tasks.data.arrays import as_dataset
from keras_lopt.tasks.data.dataset import Dataset
from keras_lopt.tasks.families.mlp import (
    breast_cancer_mlp,
    digits_mlp,
    wine_mlp,
)
from keras_lopt.tasks.mixture import Mixture, listed_mixture, sample_mixture
from keras_lopt.tasks.normalizers import FromStart, Normalizer
from keras_lopt.tasks.registry import Family, family, get, names
from keras_lopt.tasks.task import Task
from keras_lopt.tasks.user import from_keras

__all__ = [
    "Cost",
    "Dataset",
    "Family",
    "FromStart",
    "Mixture",
    "Normalizer",
    "Task",
    "Variation",
    "as_dataset",
    "augmented",
    "breast_cancer_mlp",
    "datasets",
    "digits_mlp",
    "families",
    "family",
    "from_keras",
    "get",
    "keras_problem",
    "layers",
    "listed_mixture",
    "names",
    "registry",
    "sample_mixture",
    "suites",
    "task_cost",
    "text",
    "tfds_data",
    "wine_mlp",
]

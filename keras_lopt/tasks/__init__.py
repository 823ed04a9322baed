"""Tasks: Keras models with a loss and data, to be trained by a rule.

A task is static: one model structure, one dataset, one batch size, one
compiled program. A *problem* of a task is one inner training run: its initial
values, its data order and its dynamic variation all follow from one seed.
"""

from keras_lopt.tasks import (
    augment,
    families,
    registry,
    sources,
    suites,
    tfds_data,
)
from keras_lopt.tasks.augment import augmented
from keras_lopt.tasks.base import Task
from keras_lopt.tasks.cost import Cost, task_cost
from keras_lopt.tasks.dataset import Dataset
from keras_lopt.tasks.mixture import (
    Mixture,
    listed_mixture,
    sample_mixture,
)
from keras_lopt.tasks.mlp import breast_cancer_mlp, digits_mlp, wine_mlp
from keras_lopt.tasks.normalizers import FromStart, Normalizer
from keras_lopt.tasks.registry import Family, family, get, names
from keras_lopt.tasks.user import as_dataset, from_keras
from keras_lopt.tasks.variation import Variation

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
    "augment",
    "augmented",
    "breast_cancer_mlp",
    "digits_mlp",
    "families",
    "family",
    "from_keras",
    "get",
    "listed_mixture",
    "names",
    "registry",
    "sample_mixture",
    "sources",
    "suites",
    "task_cost",
    "tfds_data",
    "wine_mlp",
]

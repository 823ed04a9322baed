"""Tasks: Keras models with a loss and data, to be trained by a rule.

A task is static: one model structure, one dataset, one batch size, one
compiled program. A *problem* of a task is one inner training run: its initial
values, its data order and its dynamic variation all follow from one seed.
"""

from keras_lopt.tasks.base import Task
from keras_lopt.tasks.dataset import Dataset
from keras_lopt.tasks.mlp import breast_cancer_mlp, digits_mlp, wine_mlp
from keras_lopt.tasks.normalizers import FromStart, Normalizer
from keras_lopt.tasks.registry import get, names
from keras_lopt.tasks.variation import Variation

__all__ = [
    "Dataset",
    "FromStart",
    "Normalizer",
    "Task",
    "Variation",
    "breast_cancer_mlp",
    "digits_mlp",
    "get",
    "names",
    "wine_mlp",
]

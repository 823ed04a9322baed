"""The data of tasks: examples in memory, by name or from a user's arrays.

dataset.py is what a task needs: arrays with splits. datasets.py finds one by
name, tfds_data.py reads TensorFlow Datasets, text.py turns text into tokens,
arrays.py takes a user's own. batches.py chooses the examples of each step.
"""

from keras_lopt.tasks.data import datasets, text, tfds_data
from keras_lopt.tasks.data.arrays import as_dataset
from keras_lopt.tasks.data.dataset import Dataset

__all__ = ["Dataset", "as_dataset", "datasets", "text", "tfds_data"]

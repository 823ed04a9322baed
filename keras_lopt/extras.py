"""Refuses, with the command that helps, what was installed without `train`.

The parts that train and evaluate import this module first. Rules, optimizers
and optimizer files need neither TensorFlow nor the libraries here.
"""

import importlib.util

#: Libraries by import name that only the extra `train` installs.
TRAIN = (
    "tensorflow",
    "gin",
    "jinja2",
    "matplotlib",
    "scipy",
    "sklearn",
    "tensorboard",
)

_missing = [name for name in TRAIN if importlib.util.find_spec(name) is None]
if _missing:
    raise ImportError(
        "Training, evaluation and tasks need libraries that are not installed: "
        f"{', '.join(_missing)}. Install them with: pip install "
        "'keras_lopt[train]'"
    )

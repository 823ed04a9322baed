"""What an experiment must be like, before any of it is written."""

import os
from collections.abc import Callable

from keras_lopt.tasks import Mixture, Task
from keras_lopt.training import scoring


def check_objects(**arguments):
    """Raises ValueError unless each is (value, type) with a fitting value."""
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind):
            reference = "name`, no call" if kind is Callable else "Name()`"
            raise ValueError(
                f"`{name}` must be a {kind.__name__}. Received: {name}="
                f"{value!r}; in gin, write `@module.{reference}, not a string"
            )


def check_folder(out_dir):
    """Raises ValueError where there is a file and no folder can be."""
    path = os.path.abspath(out_dir)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    if not out_dir or not os.path.isdir(path):
        raise ValueError(
            "`out_dir` must be a folder, or a path where one can be made. "
            f"Received: out_dir={out_dir!r}"
            + (f", where {path!r} is a file" if out_dir else "")
        )


def build_mixture(task, estimator):
    """The mixture that the function `task` builds, if it can be trained on."""
    built = task()
    if not isinstance(built, (Task, Mixture)):
        raise ValueError(
            "`task` must be a function that returns a `tasks.Task` or a "
            f"`tasks.Mixture`. Received: task={task!r}, which returns {built!r}"
        )
    mixture = Mixture.of(built)
    for dataset in (task.dataset for task in mixture.tasks):
        splits = list(dataset.splits)
        if not {"train", scoring.SPLIT, estimator.outer_split} <= set(splits):
            raise ValueError(
                f"`splits` of dataset {dataset.name!r} must have 'train', "
                f"{scoring.SPLIT!r} (for scores) and `outer_split`, "
                f"{estimator.outer_split!r}. Received: {splits}"
            )
    return mixture

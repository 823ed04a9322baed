"""The population trainer: learned optimizers train one another.

An `Experiment` holds all that is settled before training, a `PopulationState`
all that changes during it. `PopulationTrainer.fit` is the loop; `run` is what
bin/train_population.py calls. TensorFlow only.
"""

from keras_lopt import extras  # noqa: F401
from keras_lopt.training.devices import (
    Devices,
    SplitRun,
    compiled,
    make_strategy,
    reuse_compiled,
)
from keras_lopt.training.experiment import Experiment, trained_teacher
from keras_lopt.training.output.callbacks import CSVHistory
from keras_lopt.training.output.checkpoint import TrainingCheckpoint
from keras_lopt.training.output.progress import Progress
from keras_lopt.training.run import run
from keras_lopt.training.schedule import Schedule
from keras_lopt.training.state import PopulationState
from keras_lopt.training.trainer import PopulationTrainer

__all__ = [
    "CSVHistory",
    "Devices",
    "Experiment",
    "PopulationState",
    "PopulationTrainer",
    "Progress",
    "Schedule",
    "SplitRun",
    "TrainingCheckpoint",
    "compiled",
    "make_strategy",
    "reuse_compiled",
    "run",
    "trained_teacher",
]

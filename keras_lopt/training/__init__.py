"""The population trainer: learned optimizers train one another.

`PopulationTrainer.fit` is the loop, `run` the function that a configured
experiment calls. TensorFlow only.
"""

from keras_lopt.training.checkpointing import TrainingCheckpoint
from keras_lopt.training.run import run
from keras_lopt.training.schedule import Schedule
from keras_lopt.training.strategy import make_strategy
from keras_lopt.training.trainer import PopulationTrainer

__all__ = [
    "PopulationTrainer",
    "Schedule",
    "TrainingCheckpoint",
    "make_strategy",
    "run",
]

"""Where training runs, and what is compiled for it."""

from keras_lopt.training.devices.devices import (
    Devices,
    devices_of,
    reuse_compiled,
)
from keras_lopt.training.devices.replicas import Replicas
from keras_lopt.training.devices.split_run import SplitRun
from keras_lopt.training.devices.strategy import make_strategy
from keras_lopt.training.devices.tracing import compiled
from keras_lopt.training.devices.whole_loops import warn_of_slow_tasks
from keras_lopt.training.devices.workers import Workers

__all__ = [
    "Devices",
    "Replicas",
    "SplitRun",
    "Workers",
    "compiled",
    "devices_of",
    "make_strategy",
    "reuse_compiled",
    "warn_of_slow_tasks",
]

"""Hand-designed optimizers, each with a grid of learning rates.

Adam with a cosine decay to zero is the stronger claim: a learned optimizer
that is told the horizon may have learned no more than a decay.
"""

import dataclasses
import math

import keras
import tensorflow as tf

#: 14 half-decades, from 3.2e-6 to 10. The grid in the literature ends at 1e-7
#: and 1; on small models and functions rates above 1 win, those below 3e-6
#: never.
RATES = tuple(10.0 ** (k / 2) for k in range(-11, 3))


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A Keras optimizer to compare with.

    Args:
        name: Key of `BASELINES`.
        label: What reports call it.
        optimizer: Name of a class of `keras.optimizers`.
        decays: Whether the learning rate falls to zero at the end of the run,
            by a cosine.
        config: Pairs of other arguments of the class and their values.
    """

    name: str
    label: str
    optimizer: str = "Adam"
    decays: bool = False
    config: tuple[tuple[str, object], ...] = ()

    @property
    def is_available(self):
        """Whether the installed Keras has the optimizer."""
        return hasattr(keras.optimizers, self.optimizer)

    def make(self, num_steps):
        """A new optimizer, and a function that sets its learning rate.

        Args:
            num_steps: Number of steps per run.
        """
        schedule = Schedule(num_steps if self.decays else None)
        made = getattr(keras.optimizers, self.optimizer)
        optimizer = made(learning_rate=schedule, **dict(self.config))
        return optimizer, schedule.peak.assign

    def describe(self):
        """Everything that identifies this baseline, as JSON types."""
        config = getattr(keras.optimizers, self.optimizer)().get_config()
        config.update(self.config)
        del config["learning_rate"], config["name"]
        return {
            "optimizer": self.optimizer,
            "decays": self.decays,
            "config": config,
        }


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that can be changed without compiling anew.

    Args:
        num_steps: Number of steps after which a cosine has brought it to zero;
            None: it is constant.

    Attributes:
        peak: Variable, the learning rate at the start.
    """

    def __init__(self, num_steps=None):
        self.num_steps = num_steps
        self.peak = tf.Variable(0.0, trainable=False, name="peak")

    def __call__(self, step):
        peak = tf.convert_to_tensor(self.peak)
        if self.num_steps is None:
            return peak
        done = tf.minimum(tf.cast(step, tf.float32) / self.num_steps, 1.0)
        return peak * 0.5 * (1.0 + tf.cos(math.pi * done))

    def get_config(self):
        return {"num_steps": self.num_steps}


_DECAY = (("weight_decay", 1e-4),)
BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("adam", "Adam"),
        Baseline("adam_cosine", "Adam, cosine decay", decays=True),
        Baseline("nadamw", "NAdamW", "Nadam", config=_DECAY),
        Baseline("lion", "Lion", "Lion"),
        Baseline("muon", "Muon", "Muon"),
        Baseline(
            "schedule_free",
            "schedule-free AdamW",
            "ScheduleFreeAdamW",
            config=_DECAY,
        ),
    )
}


def check_baselines(names):
    """The `Baseline`s with these names that Keras has, and the others' names.

    Raises:
        ValueError: No names, unknown ones, or ones without "adam".
    """
    is_sequence = isinstance(names, (tuple, list)) and "adam" in names
    if not is_sequence or not set(names) <= set(BASELINES):
        raise ValueError(
            "`baselines` must be a list of 'adam' and any of "
            f"{[n for n in BASELINES if n != 'adam']}. "
            f"Received: baselines={names!r}"
        )
    found = [BASELINES[name] for name in names]
    missing = [b.name for b in found if not b.is_available]
    return [b for b in found if b.is_available], missing

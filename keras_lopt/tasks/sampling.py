"""The sampler with which task families draw their configurations.

The distributions are TaskSet's (Metz, Maheswaranathan, Sun, Freeman, Poole,
Sohl-Dickstein 2020, arXiv 2002.11887). Of Python's generator only `random()` is
used, because its numbers are the same in all versions of Python.
"""

import math
import random

#: Weights of the activation functions.
ACTIVATIONS = {
    "relu": 6.0,
    "tanh": 3.0,
    "cos": 1.0,
    "elu": 1.0,
    "sigmoid": 1.0,
    "swish": 1.0,
    "leaky_relu_0.4": 1.0,
    "leaky_relu_0.2": 1.0,
    "leaky_relu_0.1": 1.0,
}
_SCALED = {
    "random_uniform": ("RandomUniform", lambda s: {"minval": -s, "maxval": s}),
    "random_normal": ("RandomNormal", lambda s: {"stddev": s}),
    # TaskSet's code uses a plain normal here; Keras's is truncated.
    "truncated_normal": ("TruncatedNormal", lambda s: {"stddev": s}),
    "variance_scaling": ("VarianceScaling", lambda s: {"scale": s}),
}
_INITIALIZERS = {
    "he_normal": 2.0,
    "he_uniform": 2.0,
    "glorot_normal": 2.0,
    "glorot_uniform": 2.0,
    "orthogonal": 1.0,
    **dict.fromkeys(_SCALED, 1.0),
}


class Sampler:
    """Draws the numbers and choices of one configuration.

    Args:
        name: Name of the family; families have independent random numbers.
        seed: Integer.
    """

    def __init__(self, name, seed):
        self._random = random.Random(f"{name}/{seed}").random

    def uniform(self, low, high):
        """A uniform number in [low, high)."""
        return low + (high - low) * self._random()

    def log_float(self, low, high):
        """A log-uniform number in [low, high)."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def log_int(self, low, high):
        """A log-uniform number in [low, high], rounded to an integer."""
        return round(self.log_float(low, high))

    def integer(self, low, high):
        """A uniform integer in [low, high]."""
        return min(high, low + int((high - low + 1) * self._random()))

    def chance(self, probability):
        """True with this probability."""
        return self._random() < probability

    def choice(self, options):
        """One of several options, all equally likely."""
        return options[self.integer(0, len(options) - 1)]

    def weighted(self, weights):
        """A key of a dict, with probabilities in proportion to the values."""
        left = self._random() * sum(weights.values())
        for option, weight in weights.items():
            left -= weight
            if left < 0.0:
                return option
        return option

    def widths(self, depths, low, high):
        """A tuple of log-uniform widths; its length is one of `depths`."""
        return tuple(
            self.log_int(low, high) for _ in range(self.choice(depths))
        )

    def activation(self):
        """The name of an activation, for `layers.activation`."""
        return self.weighted(ACTIVATIONS)

    def initializer(self):
        """A Keras initializer: its name, or its configuration as a dict."""
        name = self.weighted(_INITIALIZERS)
        if name not in _SCALED:
            return name
        class_name, config = _SCALED[name]
        scale = self.log_float(0.1, 10.0)
        return {"class_name": class_name, "config": config(scale)}

    def variation(self, labels=False):
        """Arguments of `Variation`: what differs between a task's problems.

        Args:
            labels: Whether there are class numbers to permute.
        """
        drawn = {}
        if self.chance(0.3):
            drawn["init_scale"] = (0.5, 2.0)
        if self.chance(0.3):
            drawn["reparametrization"] = (0.1, 10.0)
            drawn["per_tensor"] = self.chance(0.5)
        if labels and self.chance(0.5):
            drawn["label_permutation"] = True
        return drawn

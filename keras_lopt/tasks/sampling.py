"""The vocabulary that task families draw their configurations with.

The distributions are TaskSet's (Metz, Maheswaranathan, Sun, Freeman, Poole,
Sohl-Dickstein 2020, arXiv 2002.11887). Only `random()` of Python's generator
is used: its numbers are the same in all versions of Python.
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
    # TaskSet's code takes a plain normal for this one; Keras's is truncated.
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
        name: Of the family; families have independent numbers.
        seed: Integer.
    """

    def __init__(self, name, seed):
        self._random = random.Random(f"{name}/{seed}").random

    def uniform(self, low, high):
        """A number, uniform."""
        return low + (high - low) * self._random()

    def log_float(self, low, high):
        """A number, log-uniform."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def log_int(self, low, high):
        """An integer in [low, high], log-uniform and rounded."""
        return round(self.log_float(low, high))

    def integer(self, low, high):
        """An integer in [low, high], uniform."""
        return min(high, low + int((high - low + 1) * self._random()))

    def chance(self, probability):
        """True with a probability."""
        return self._random() < probability

    def choice(self, options):
        """One of some options, all as likely."""
        return options[self.integer(0, len(options) - 1)]

    def weighted(self, weights):
        """A key of a dict of weights."""
        left = self._random() * sum(weights.values())
        for option, weight in weights.items():
            left -= weight
            if left < 0.0:
                return option
        return option

    def widths(self, depths, low, high):
        """A tuple of log-uniform widths, as many as one of `depths`."""
        return tuple(
            self.log_int(low, high) for _ in range(self.choice(depths))
        )

    def activation(self):
        """Name of an activation, for `layers.activation`."""
        return self.weighted(ACTIVATIONS)

    def initializer(self):
        """A Keras initializer: a name, or its configuration as a dict."""
        name = self.weighted(_INITIALIZERS)
        if name not in _SCALED:
            return name
        class_name, config = _SCALED[name]
        scale = self.log_float(0.1, 10.0)
        return {"class_name": class_name, "config": config(scale)}

    def variation(self, labels=False):
        """What differs between the problems of one task, for `Variation`.

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

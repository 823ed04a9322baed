"""What `mlp`, `adafac_mlp` and `fused` share: an MLP on normalised features."""

import functools

from keras_lopt.rules import blocks, networks, segments
from keras_lopt.rules.base import PerTensorRule

#: Vectors of up to so many entries lie side by side if there are as many as
#: this: they compile faster so. Longer ones pay for themselves.
LARGEST_JOINED, FEWEST_JOINED = 4096, 8
#: Fewer of them: only those below so many entries, which are faster so. Two of
#: 32 took 8 us instead of 10, six 11 instead of 28; six of 300 took 29, not 22.
FEW_ENTRIES = networks.UNROLLED_ENTRIES


class PerceptronRule(PerTensorRule):
    """A rule whose step is an MLP's on features of an entry and of the time.

    step = o0 * exp(o1 * exp_mult) * step_mult, for the MLP's outputs o0, o1.
    Subclasses write `accumulate`, `entries` and `features`, and have the two
    hyperparameters. The MLP runs once over many small vectors.
    """

    def accumulate(self, theta, grad, slots):
        """New slots of one tensor."""
        raise NotImplementedError

    def entries(self, grad, param, slots):
        """What the features are made of, from new slots.

        Returns:
            Dict of [c, *shape], with 1 for a dimension that they are constant
            over.
        """
        raise NotImplementedError

    def features(self, entries):
        """Before normalisation: lists of tensors.

        Args:
            entries: `entries`, as lists of tensors or of parts of them.
        """
        raise NotImplementedError

    def update_tensor(self, theta, grad, param, slots, signals):
        slots = self.accumulate(theta, grad, slots)
        entries = self.entries(grad, param, slots)
        run = blocks.normalized_perceptron
        return self._step(run, theta, entries, signals), slots

    def update_tensors(self, theta, tensors, signals):
        small = _joined([param for _, param, _ in tensors])
        if not small:
            return super().update_tensors(theta, tensors, signals)
        joined = [tensors[i] for i in small]
        joined = dict(zip(small, self._update_joined(theta, joined, signals)))
        return [
            joined[i] if i in joined else self.update_tensor(theta, *t, signals)
            for i, t in enumerate(tensors)
        ]

    def _update_joined(self, theta, tensors, signals):
        """As `update_tensors`, of vectors."""
        new_slots, entries = [], []
        for grad, param, slots in tensors:
            new_slots.append(self.accumulate(theta, grad, slots))
            entries.append(self.entries(grad, param, new_slots[-1]))
        places = segments.best([param.shape[0] for _, param, _ in tensors])
        joined = {k: places.join([e[k] for e in entries]) for k in entries[0]}
        run = functools.partial(segments.normalized_perceptron, places)
        delta = self._step(run, theta, joined, signals)
        return list(zip(places.split(delta), new_slots, strict=True))

    def _step(self, run, theta, entries, signals):
        time = networks.time_embed_tanh(signals["step"])
        return run(theta, self.features, entries, time, self._delta)

    def _delta(self, outputs):
        return -networks.step_of(outputs, self.exp_mult) * self.step_mult


def _joined(params):
    """Indices of the tensors that are worth joining."""
    sizes = {
        i: param.shape[0] for i, param in enumerate(params) if _is_small(param)
    }
    if len(sizes) < FEWEST_JOINED:
        sizes = {i: size for i, size in sizes.items() if size < FEW_ENTRIES}
    return list(sizes) if len(sizes) > 1 else []


def _is_small(param):
    return len(param.shape) == 1 and 0 < param.shape[0] <= LARGEST_JOINED

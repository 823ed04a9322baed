"""An inner run, compiled once and split over the cores of a CPU."""

import math

import tensorflow as tf

from keras_lopt.training.devices.tracing import compiled


class SplitRun:
    """Stands in for an `InnerRun` in calls outside XLA; compiled once.

    Compilation is the largest part of what a short experiment waits for, so
    all callers share programs: their problems are padded to one number.

    One call has too little work to share among the cores of a CPU. So it is
    split into calls with a part of the particles each; TensorFlow runs them
    side by side, as none needs another's results. A mapped particle has the
    same results in any part. All parts have one size, and so one program: the
    last is padded.

    Args:
        run: An `estimators.InnerRun`.
        problems: Most problems per call, q.
        parallel_calls: Most calls that share the particles.
    """

    def __init__(self, run, problems, parallel_calls):
        self._run = run
        self._problems = problems
        self._parallel_calls = parallel_calls
        self._programs = {}
        self.num_steps = run.num_steps
        self.theta_vector = run.theta_vector
        self.blank_states = run.blank_states

    def prepare(self, particles, outer_split):
        """Traces what calls with `particles` on this outer split need."""
        seeds = tf.zeros([self._problems, 2], tf.int32)
        steps = tf.zeros([self._problems], tf.int32)
        draw = tf.function(self.draw_batches, autograph=False)  # Traced only.
        batches = draw.get_concrete_function(
            seeds, steps, outer_split
        ).structured_outputs
        particles = self._part(particles)
        key = self._key(particles, batches)
        if key not in self._programs:
            self._programs[key] = compiled(
                self._run.advance,
                tf.zeros([particles, self.theta_vector.size]),
                self.blank_states(particles),
                seeds,
                steps,
                tf.zeros([particles], tf.int32),
                batches,
                steps,
            )

    @property
    def num_programs(self):
        """Number of compiled programs, on each device."""
        return len(self._programs)

    def _part(self, particles):
        """How many of the particles a call gets."""
        return math.ceil(particles / self._parallel_calls)

    def _key(self, particles, batches):
        return particles, *batches

    def draw_batches(self, seeds, steps, outer_split):
        """As `InnerRun.draw_batches`, padded to the most problems per call."""
        return self._run.draw_batches(
            _filled(seeds, self._problems),
            _filled(steps, self._problems),
            outer_split,
        )

    def advance(
        self, thetas, states, seeds, steps, problems, batches, horizons=None
    ):
        """As `InnerRun.advance`, for batches of this object."""
        if horizons is None:
            horizons = tf.fill(steps.shape, self._run.horizon)
        count = thetas.shape[0]
        part = self._part(count)
        program = self._programs[self._key(part, batches)]
        seeds, steps, horizons = (
            _filled(values, self._problems)
            for values in (seeds, steps, horizons)
        )
        results = [
            program(*own, seeds, steps, own_problems, batches, horizons)
            for *own, own_problems in _split((thetas, states, problems), part)
        ]
        return tf.nest.map_structure(
            lambda *parts: tf.concat(parts, 0)[:count], *results
        )


def _split(nest, part):
    """A nest of tensors [b, ...] -> nests of [part, ...], the last padded."""
    flat = tf.nest.flatten(nest)
    calls = math.ceil(flat[0].shape[0] / part)
    split = [tf.split(_filled(leaf, calls * part), calls) for leaf in flat]
    return [tf.nest.pack_sequence_as(nest, leaves) for leaves in zip(*split)]


def _filled(values, count):
    """Values [n, ...], padded with zeros to [count, ...]."""
    missing = count - values.shape[0]
    if not missing:
        return values
    paddings = [[0, missing]] + [[0, 0]] * (values.shape.rank - 1)
    return tf.pad(values, paddings)
